-- what:    what was used on a day, as one landing day adds it to what is known
-- grain:   landing_day, counts_from, event_day, customer_id (as on the event), feature,
--          dimension_1, dimension_2, model, price_id, is_negative
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    costed_events, steady_prices
-- read by: snapshots, marts, checks
-- rules:   USE-1, USE-3, USE-6, USE-8, USE-9, CAT-11, AI-1
with

events as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        price_id,
        is_negative,
        events,
        value,
        amount,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from costed_events
),

steady as (
    select
        model,
        price_id,
    from steady_prices
),

sums as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        price_id,
        is_negative,
        sum(events)::bigint as events,
        sum(value)::decimal(38, 9) as value,
        coalesce(sum(amount), 0)::decimal(38, 9) as amount,
        coalesce(sum(input_tokens), 0)::bigint as input_tokens,
        coalesce(sum(output_tokens), 0)::bigint as output_tokens,
        coalesce(sum(cache_read_tokens), 0)::bigint as cache_read_tokens,
        coalesce(sum(cache_write_tokens), 0)::bigint as cache_write_tokens,
        coalesce(sum(input_units), 0)::bigint as input_units,
        coalesce(sum(output_units), 0)::bigint as output_units,
        coalesce(sum(cache_read_units), 0)::bigint as cache_read_units,
        coalesce(sum(cache_write_units), 0)::bigint as cache_write_units,
    from events
    group by
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        price_id,
        is_negative
)

select
    sums.landing_day,
    sums.counts_from,
    sums.event_day,
    sums.customer_id,
    sums.feature,
    sums.dimension_1,
    sums.dimension_2,
    sums.model,
    coalesce(sums.price_id, steady.price_id) as price_id,
    sums.is_negative,
    sums.events,
    sums.value,
    sums.amount,
    sums.input_tokens,
    sums.output_tokens,
    sums.cache_read_tokens,
    sums.cache_write_tokens,
    sums.input_units,
    sums.output_units,
    sums.cache_read_units,
    sums.cache_write_units,
from sums
left join steady on sums.model = steady.model
order by
    sums.landing_day,
    sums.counts_from,
    sums.event_day,
    sums.customer_id,
    sums.feature,
    sums.dimension_1 nulls first,
    sums.dimension_2 nulls first,
    sums.model nulls first,
    coalesce(sums.price_id, steady.price_id) nulls first,
    sums.is_negative
