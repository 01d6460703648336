-- what:    token costs that are rounded up for each event, by key
-- grain:   event_key
-- units:   rate units (0.0001)
-- from:    token_costs
-- read by: usage_daily
-- rules:   AI-1, AI-7
with

costs as (
    select
        event_key,
        events,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from token_costs
)

select
    event_key,
    sum(events * input_units)::bigint as input_units,
    sum(events * output_units)::bigint as output_units,
    sum(events * cache_read_units)::bigint as cache_read_units,
    sum(events * cache_write_units)::bigint as cache_write_units,
from costs
group by event_key
