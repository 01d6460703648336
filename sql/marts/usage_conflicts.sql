-- what:    events whose id was received before with other content: the first
--          counts, and the customer's invoices wait for a decision
-- grain:   one row per (path, row_number)
-- units:   value in event units; whole tokens; amount in major units; instants
--          in UTC
-- from:    usage_conflicts
-- read by: analysts
-- rules:   USE-2
-- columns:
--   path: the landed file that holds the event
--   row_number: row in the file, from 1
--   source: source of the event
--   event_id: id of the event, received before
--   customer_id: customer as it stands on the event
--   feature: feature as it stands on the event
--   model: AI model as it stands on the event
--   value: value as it stands on the event
--   amount: the event's own amount
--   input_tokens: input tokens as they stand on the event
--   output_tokens: output tokens as they stand on the event
--   cache_read_tokens: cached tokens read, as they stand on the event
--   cache_write_tokens: cached tokens written, as they stand on the event
--   landing_day: UTC date on which a run first saw the file
--   first_landing_day: landing day of the event that counts
--   occurred_at: instant of the event
select
    path,
    row_number,
    source,
    event_id,
    customer_id,
    feature,
    model,
    value,
    amount,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    landing_day,
    first_landing_day,
    occurred_at at time zone 'UTC' as occurred_at,
from usage_conflicts
