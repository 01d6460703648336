-- what:    the events that count on a landing day, each with its model, and with its price
--          where the day has several for the model
-- grain:   one row an event (events = 1), or one that a retraction takes back (-1)
-- units:   event units; whole tokens
-- from:    countable_events, varying_prices
-- read by: uncosted_events, usage_states, priced_events
-- rules:   USE-2, USE-9, AI-2, AI-3
with

countable as (
    select
        landing_day,
        counts_from,
        source,
        event_id,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        property,
        occurred_at,
        is_negative,
        events,
        value,
        amount,
        model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from countable_events
),

-- Prices that depend on the instant or the size of the request, or on a bare name.
varying as (
    select
        reference,
        model,
        price_id,
        valid_from,
        valid_to,
        tokens_above,
        tokens_up_to,
    from varying_prices
)

select
    countable.landing_day,
    countable.counts_from,
    countable.occurred_at::date as event_day,
    countable.source,
    countable.event_id,
    countable.customer_id,
    countable.feature,
    countable.dimension_1,
    countable.dimension_2,
    countable.property,
    coalesce(varying.model, countable.model) as model,
    varying.price_id as varying_price_id,
    countable.is_negative,
    countable.events,
    countable.value,
    countable.amount,
    countable.input_tokens,
    countable.output_tokens,
    countable.cache_read_tokens,
    countable.cache_write_tokens,
    countable.occurred_at,
from countable
left join varying
    on
        countable.model = varying.reference
        and countable.occurred_at >= varying.valid_from
        and countable.occurred_at < varying.valid_to
        and abs(
            countable.input_tokens
            + countable.cache_read_tokens
            + countable.cache_write_tokens
        ) > varying.tokens_above
        and abs(
            countable.input_tokens
            + countable.cache_read_tokens
            + countable.cache_write_tokens
        ) <= varying.tokens_up_to
