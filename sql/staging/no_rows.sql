-- what:    the columns of landed_rows, of a landing day without any readable file
-- grain:   no row
-- units:   as landed
-- from:    nothing
-- read by: pipelines/metering.py
-- rules:   USE-1
select
    null::date as landing_day,
    null::integer as file_number,
    null::bigint as row_number,
    null::varchar as event_id,
    null::varchar as source,
    null::varchar as customer_id,
    null::varchar as feature,
    null::varchar as model,
    null::varchar as retracts,
    null::timestamptz as occurred_at,
    null::timestamptz as received_at,
    null::decimal(38, 9) as value,
    null::decimal(38, 9) as amount,
    null::bigint as input_tokens,
    null::bigint as output_tokens,
    null::bigint as cache_read_tokens,
    null::bigint as cache_write_tokens,
    null::varchar as property,
    null::varchar as dimension_1,
    null::varchar as dimension_2,
    null::boolean as is_property_missing,
    null::varchar as unreadable,
    null::boolean as is_total_with_cached,
where false
