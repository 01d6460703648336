-- what:    landed events whose id was counted before with other content
-- grain:   one row an event, by file and row
-- units:   event units; whole tokens
-- from:    landed_rows, conflicting_rows
-- read by: pipelines/counting.py, which keeps them in usage_conflicts
-- rules:   USE-2
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
        make_timestamp(epoch_us(occurred_at)) as occurred_at,
        value,
        amount,
        model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from landed_rows
),

conflicting as (
    select
        file_number,
        row_number,
        first_day,
    from conflicting_rows
)

select
    landed.landing_day,
    landed.file_number,
    landed.row_number,
    conflicting.first_day,
    landed.source,
    landed.event_id,
    landed.customer_id,
    landed.feature,
    landed.occurred_at,
    landed.value,
    landed.amount,
    landed.model,
    landed.input_tokens,
    landed.output_tokens,
    landed.cache_read_tokens,
    landed.cache_write_tokens,
from landed
inner join conflicting
    on
        landed.file_number = conflicting.file_number
        and landed.row_number = conflicting.row_number
