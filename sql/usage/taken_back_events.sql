-- what:    the events of earlier landing days that a day takes back
-- grain:   one row an event, everything in it negative
-- units:   event units; whole tokens
-- from:    reversed_events
-- read by: countable_events, see pipelines/counting.py
-- rules:   USE-9
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
