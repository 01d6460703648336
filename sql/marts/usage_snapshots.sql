-- what:    usage of a customer, feature and window, as known at a cutoff: what
--          invoices are rated with
-- grain:   one row per (customer_id, feature, start_at, end_at, cutoff_on)
-- units:   quantity in event units, of AI features in tokens; amount in major
--          units of the subscription's currency; instants in UTC
-- from:    usage_snapshots
-- read by: analysts, the revenue report
-- rules:   USE-3, USE-8, CAT-11
-- columns:
--   customer_id: who used it
--   feature: code of the feature
--   cutoff_on: last landing day that is counted
--   events: number of events counted
--   quantity: what the feature's aggregation gives
--   amount: sum of the events' own amounts
--   start_at: first instant of the window
--   end_at: the instant at which the window ends, not in it
select
    customer_id,
    feature,
    cutoff_on,
    events,
    quantity,
    amount,
    start_at at time zone 'UTC' as start_at,
    end_at at time zone 'UTC' as end_at,
from usage_snapshots
