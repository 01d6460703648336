-- what:    the events that count, whose token costs are not rounded up event by event
-- grain:   as counted_events
-- units:   event units; whole tokens; no token costs: they are made of the sums
-- from:    counted_events
-- read by: in place of priced_events by usage_daily, see pipelines/counting.py
-- rules:   AI-1, AI-7
select
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    dimension_1,
    dimension_2,
    model,
    varying_price_id as price_id,
    is_negative,
    events,
    value,
    amount,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    null::hugeint as input_units,
    null::hugeint as output_units,
    null::hugeint as cache_read_units,
    null::hugeint as cache_write_units,
from counted_events
