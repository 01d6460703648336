-- what:    counted events, each with the price of its tokens, and their cost rounded up
-- grain:   one row an event (events = 1), or one that a retraction takes back (-1)
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    counted_events, steady_prices, model_prices
-- read by: usage_daily, usage_margins, usage_edges
-- rules:   AI-1, AI-2, AI-7
with

counted as (
    select
        landing_day,
        counts_from,
        event_day,
        source,
        event_id,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        property,
        model,
        varying_price_id,
        is_negative,
        events,
        value,
        amount,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        occurred_at,
    from counted_events
),

steady as (
    select
        model,
        price_id,
    from steady_prices
),

prices as (
    select
        price_id,
        input_price::hugeint as input_price,
        output_price::hugeint as output_price,
        cache_read_price::hugeint as cache_read_price,
        cache_write_price::hugeint as cache_write_price,
        is_per_event,
    from model_prices
),

events as (
    select
        counted.landing_day,
        counted.counts_from,
        counted.event_day,
        counted.source,
        counted.event_id,
        counted.customer_id,
        counted.feature,
        counted.dimension_1,
        counted.dimension_2,
        counted.property,
        counted.model,
        counted.is_negative,
        counted.events,
        counted.value,
        counted.amount,
        counted.input_tokens,
        counted.output_tokens,
        counted.cache_read_tokens,
        counted.cache_write_tokens,
        counted.occurred_at,
        coalesce(counted.varying_price_id, steady.price_id) as price_id,
    from counted
    left join steady on counted.model = steady.model
)

select
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.source,
    events.event_id,
    events.customer_id,
    events.feature,
    events.dimension_1,
    events.dimension_2,
    events.property,
    events.model,
    events.is_negative,
    events.events,
    events.value,
    events.amount,
    events.input_tokens,
    events.output_tokens,
    events.cache_read_tokens,
    events.cache_write_tokens,
    events.occurred_at,
    events.price_id,
    prices.is_per_event,
    case
        when prices.is_per_event
            then
                events.events * (
                    (
                        abs(events.input_tokens) * prices.input_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as input_units,
    case
        when prices.is_per_event
            then
                events.events * (
                    (
                        abs(events.output_tokens) * prices.output_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as output_units,
    case
        when prices.is_per_event
            then
                events.events * (
                    (
                        abs(events.cache_read_tokens) * prices.cache_read_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as cache_read_units,
    case
        when prices.is_per_event
            then
                events.events * (
                    (
                        abs(events.cache_write_tokens)
                        * prices.cache_write_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as cache_write_units,
from events
left join prices on events.price_id = prices.price_id
