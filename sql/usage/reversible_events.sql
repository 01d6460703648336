-- what:    the counted events of one landing day that later retractions take back
-- grain:   one row an event
-- units:   event units; whole tokens
-- from:    landed_rows, excluded_rows, wanted_events
-- read by: pipelines/retractions.py, which keeps them in usage_reversals
-- rules:   USE-9
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

wanted as (
    select
        source,
        event_id,
        retracted_on,
    from wanted_events
),

excluded as (
    select
        file_number,
        row_number,
    from excluded_rows
)

select
    wanted.retracted_on as landing_day,
    case
        when landed.ahead_us > 300000000
            then greatest(wanted.retracted_on, landed.occurred_at::date)
        else wanted.retracted_on
    end as counts_from,
    landed.source,
    landed.event_id,
    landed.customer_id,
    landed.feature,
    landed.dimension_1,
    landed.dimension_2,
    landed.property,
    landed.occurred_at,
    landed.value,
    landed.amount,
    landed.model,
    landed.input_tokens,
    landed.output_tokens,
    landed.cache_read_tokens,
    landed.cache_write_tokens,
from landed
inner join wanted
    on
        landed.source = wanted.source
        and landed.event_id = wanted.event_id
anti join excluded
    on
        landed.file_number = excluded.file_number
        and landed.row_number = excluded.row_number
order by landed.source, landed.event_id
