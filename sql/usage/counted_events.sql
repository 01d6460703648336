-- what:    the events that count on a landing day, each with its model, and with its price
--          where the day has several for the model
-- grain:   one row an event (events = 1), or one that a retraction takes back (-1)
-- units:   event units; whole tokens
-- from:    landed_rows, excluded_rows, reversed_events, varying_prices
-- read by: usage_daily, usage_states, priced_events
-- rules:   USE-2, USE-9, AI-2, AI-3
with

landed as (
    select
        landing_day,
        file_number,
        row_number,
        source,
        event_id,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        property,
        make_timestamp(epoch_us(occurred_at)) as occurred_at,
        epoch_us(occurred_at) - epoch_us(received_at) as ahead_us,
        value,
        amount,
        model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from landed_rows
    where retracts is null
),

excluded as (
    select
        file_number,
        row_number,
    from excluded_rows
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
),

-- An event that lies more than five minutes after its arrival counts from its own day on.
counted as (
    select
        landed.landing_day,
        case
            when landed.ahead_us > 300000000
                then
                    greatest(
                        landed.landing_day, landed.occurred_at::date
                    )
            else landed.landing_day
        end as counts_from,
        landed.source,
        landed.event_id,
        landed.customer_id,
        landed.feature,
        landed.dimension_1,
        landed.dimension_2,
        landed.property,
        landed.occurred_at,
        landed.value < 0 as is_negative,
        1 as events,
        landed.value,
        landed.amount,
        landed.model,
        landed.input_tokens,
        landed.output_tokens,
        landed.cache_read_tokens,
        landed.cache_write_tokens,
    from landed
    anti join excluded
        on
            landed.file_number = excluded.file_number
            and landed.row_number = excluded.row_number
    union all
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
        value < 0 as is_negative,
        -1 as events,
        -value as value,
        -amount as amount,
        model,
        -input_tokens as input_tokens,
        -output_tokens as output_tokens,
        -cache_read_tokens as cache_read_tokens,
        -cache_write_tokens as cache_write_tokens,
    from reversed_events
)

select
    counted.landing_day,
    counted.counts_from,
    counted.occurred_at::date as event_day,
    counted.source,
    counted.event_id,
    counted.customer_id,
    counted.feature,
    counted.dimension_1,
    counted.dimension_2,
    counted.property,
    coalesce(varying.model, counted.model) as model,
    varying.price_id as varying_price_id,
    counted.is_negative,
    counted.events,
    counted.value,
    counted.amount,
    counted.input_tokens,
    counted.output_tokens,
    counted.cache_read_tokens,
    counted.cache_write_tokens,
    counted.occurred_at,
from counted
left join varying
    on
        counted.model = varying.reference
        and counted.occurred_at >= varying.valid_from
        and counted.occurred_at < varying.valid_to
        and abs(
            counted.input_tokens
            + counted.cache_read_tokens
            + counted.cache_write_tokens
        ) > varying.tokens_above
        and abs(
            counted.input_tokens
            + counted.cache_read_tokens
            + counted.cache_write_tokens
        ) <= varying.tokens_up_to
