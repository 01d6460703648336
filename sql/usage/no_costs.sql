-- what:    the columns of usage_costs, where no token cost is rounded up for each event
-- grain:   no row
-- units:   rate units (0.0001)
-- from:    nothing
-- read by: usage_daily
-- rules:   AI-7
select
    null::date as landing_day,
    null::date as counts_from,
    null::date as event_day,
    null::varchar as customer_id,
    null::varchar as feature,
    null::varchar as dimension_1,
    null::varchar as dimension_2,
    null::varchar as model,
    null::integer as price_id,
    null::boolean as is_negative,
    null::bigint as input_units,
    null::bigint as output_units,
    null::bigint as cache_read_units,
    null::bigint as cache_write_units,
where false
