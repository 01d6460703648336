-- what:    what was received and is not taken, with reason and cure: rows of
--          usage files, usage that no plan takes, actions
-- grain:   one row per (kind, path, row_number, reason, customer_id, feature,
--          event_day, source, event_id)
-- units:   quantity in event units; instants in UTC
-- from:    set_aside, usage_set_aside, actions_set_aside
-- read by: analysts
-- rules:   USE-1, USE-2, USE-5, USE-9, USE-11
-- columns:
--   kind: row, of a usage file; usage, of a customer, feature and day; action
--   reason: why it is not taken; of actions the code of the problem
--   path: the landed file, under the data root; of kind usage the first of the files
--     that it came in, and how many more there may be
--   row_number: row in the file, from 1; null of kind usage, and where it is the whole
--     file
--   place: where in the file: the row and its field, or the day of the events
--   source: source of the event, of kind row
--   event_id: id of the event, of kind row
--   customer_id: customer as it stands on the event
--   feature: feature as it stands on the event
--   model: AI model as it stands on the event
--   what: what is wrong
--   mend: how to mend it
--   events: number of events; null for actions
--   quantity: sum of their values, of kind usage
--   landing_day: UTC date on which a run first saw the file; of usage the first one
--   event_day: UTC date of the events
--   occurred_at: instant of the event, of kind row
with

kept as (
    select
        'row' as kind,
        reason,
        'landing/usage/' || path as path,
        row_number,
        coalesce('row ' || row_number, '(whole)') as place,
        source,
        event_id,
        customer_id,
        feature,
        model,
        what,
        mend,
        1::bigint as events,
        landing_day,
        (occurred_at at time zone 'UTC')::date as event_day,
        occurred_at at time zone 'UTC' as occurred_at,
    from set_aside
    union all by name
    select
        'usage' as kind,
        reason,
        'landing/usage/' || path as path,
        'events of ' || event_day as place,
        customer_id,
        feature,
        what,
        mend,
        events,
        quantity,
        landing_day,
        event_day,
    from usage_set_aside
    union all by name
    select
        'action' as kind,
        reason,
        path,
        row_number,
        coalesce('row ' || row_number || ', ', '') || place as place,
        what,
        mend,
        landing_day,
    from actions_set_aside
)

select
    kind,
    reason,
    path,
    row_number,
    place,
    source,
    event_id,
    customer_id,
    feature,
    model,
    what,
    mend,
    events,
    quantity,
    landing_day,
    event_day,
    occurred_at,
from kept
