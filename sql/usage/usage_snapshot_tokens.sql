-- what:    the AI tokens of usage snapshots, by model and price
-- grain:   customer_id, feature, start_at, end_at, cutoff_on, model, price_id
-- units:   whole tokens; token costs in rate units (0.0001); money per million tokens
-- from:    windowed_usage, windowed_margins, windows, ai_prices
-- read by: the billing core, marts
-- rules:   AI-1, AI-2, AI-8
with

parts as (
    select
        window_id,
        feature,
        model,
        price_id,
        events,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from windowed_usage
    where
        is_ai
        and model is not null
),

margins_of as (
    select
        window_id,
        feature,
        model,
        price_id,
        list(
            { 'margin_bp': margin_bp, 'margin_units': margin_units }
            order by margin_bp
        ) as margins,
    from windowed_margins
    group by window_id, feature, model, price_id
),

asked as (
    select
        window_id,
        customer_id,
        start_at,
        end_at,
        cutoff_on,
    from windows
),

prices as (
    select
        price_id,
        input_price,
        output_price,
        cache_read_price,
        cache_write_price,
    from ai_prices
),

sums as (
    select
        window_id,
        feature,
        model,
        price_id,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens,
        sum(input_units)::bigint as input_units,
        sum(output_units)::bigint as output_units,
        sum(cache_read_units)::bigint as cache_read_units,
        sum(cache_write_units)::bigint as cache_write_units,
    from parts
    group by window_id, feature, model, price_id
    having sum(events) <> 0
)

select
    asked.customer_id,
    sums.feature,
    asked.start_at,
    asked.end_at,
    asked.cutoff_on,
    sums.model,
    sums.price_id,
    sums.input_tokens,
    sums.output_tokens,
    sums.cache_read_tokens,
    sums.cache_write_tokens,
    sums.input_units,
    sums.output_units,
    sums.cache_read_units,
    sums.cache_write_units,
    prices.input_price,
    prices.output_price,
    prices.cache_read_price,
    prices.cache_write_price,
    coalesce(margins_of.margins, []) as margins,
from sums
inner join asked on sums.window_id = asked.window_id
inner join prices on sums.price_id = prices.price_id
left join margins_of
    on
        sums.window_id = margins_of.window_id
        and sums.feature = margins_of.feature
        and sums.model = margins_of.model
        and sums.price_id = margins_of.price_id
order by
    asked.customer_id,
    sums.feature,
    asked.start_at,
    asked.end_at,
    asked.cutoff_on,
    sums.model,
    sums.price_id
