-- what:    counted events, each with the price of its tokens, and their cost rounded up
-- grain:   one row an event (events = 1), or one that a retraction takes back (-1)
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    counted_events, model_prices
-- read by: usage_edges
-- rules:   AI-1, AI-2, AI-3, AI-7
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

prices as (
    select
        reference,
        model,
        price_id,
        valid_from,
        valid_to,
        tokens_above,
        tokens_up_to,
        input_price::hugeint as input_price,
        output_price::hugeint as output_price,
        cache_read_price::hugeint as cache_read_price,
        cache_write_price::hugeint as cache_write_price,
        is_per_event,
    from model_prices
)

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
    counted.is_negative,
    counted.events,
    counted.value,
    counted.amount,
    counted.input_tokens,
    counted.output_tokens,
    counted.cache_read_tokens,
    counted.cache_write_tokens,
    counted.occurred_at,
    prices.model,
    prices.price_id,
    case
        when prices.is_per_event
            then
                counted.events * (
                    (
                        abs(counted.input_tokens) * prices.input_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as input_units,
    case
        when prices.is_per_event
            then
                counted.events * (
                    (
                        abs(counted.output_tokens) * prices.output_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as output_units,
    case
        when prices.is_per_event
            then
                counted.events * (
                    (
                        abs(counted.cache_read_tokens) * prices.cache_read_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as cache_read_units,
    case
        when prices.is_per_event
            then
                counted.events * (
                    (
                        abs(counted.cache_write_tokens) * prices.cache_write_price
                        + 99999999999999
                    ) // 100000000000000
                )
        else 0
    end as cache_write_units,
from counted
left join prices
    on
        counted.model = prices.reference
        and counted.occurred_at >= prices.valid_from
        and counted.occurred_at < prices.valid_to
        and abs(
            counted.input_tokens
            + counted.cache_read_tokens
            + counted.cache_write_tokens
        ) > prices.tokens_above
        and abs(
            counted.input_tokens
            + counted.cache_read_tokens
            + counted.cache_write_tokens
        ) <= prices.tokens_up_to
