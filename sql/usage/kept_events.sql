-- what:    the landed events of a day that count
-- grain:   one row an event
-- units:   event units; whole tokens
-- from:    landed_rows, excluded_rows
-- read by: countable_events, see pipelines/counting.py
-- rules:   USE-2, USE-9
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
    -- Of two columns, so that it is not put to the reader of a Parquet file, to which every
    -- row is null where a plain column has but one text in a row group.
    where retracts is null or row_number < 0
),

excluded as (
    select
        file_number,
        row_number,
    from excluded_rows
)

-- An event that lies more than five minutes after its arrival counts from its own day on.
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
