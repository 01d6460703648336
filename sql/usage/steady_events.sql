-- what:    the events that count on a landing day, where every model has one price that day
-- grain:   as counted_events, whose columns it has
-- units:   event units; whole tokens
-- from:    countable_events
-- read by: in place of counted_events, see pipelines/metering.py
-- rules:   USE-2, USE-9, AI-2
select
    landing_day,
    counts_from,
    occurred_at::date as event_day,
    source,
    event_id,
    customer_id,
    feature,
    dimension_1,
    dimension_2,
    property,
    model,
    null::integer as varying_price_id,
    is_negative,
    events,
    value,
    amount,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    occurred_at,
from countable_events
