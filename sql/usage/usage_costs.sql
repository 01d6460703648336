-- what:    token costs that are rounded up for each event, by day
-- grain:   as usage_daily; only rows with AI tokens, and only with per_event rounding
-- units:   rate units (0.0001)
-- from:    priced_events
-- read by: usage_daily
-- rules:   AI-1, AI-7
with

events as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        price_id,
        is_negative,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from priced_events
    where is_per_event
)

select
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    dimension_1,
    dimension_2,
    model,
    price_id,
    is_negative,
    sum(input_units)::bigint as input_units,
    sum(output_units)::bigint as output_units,
    sum(cache_read_units)::bigint as cache_read_units,
    sum(cache_write_units)::bigint as cache_write_units,
from events
group by
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    dimension_1,
    dimension_2,
    model,
    price_id,
    is_negative
