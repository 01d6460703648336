-- what:    usage that no window takes in, as known at a landing day
-- grain:   reason, customer_id (as on the event), feature, event_day
-- units:   event units, of AI events all tokens
-- from:    usage_reasons
-- read by: marts, checks
-- rules:   USE-1, USE-5, USE-11
-- bound:   as_of, one row: the last landing day that is looked at (through)
with

reasons as (
    select
        reason,
        customer_id,
        feature,
        event_day,
        events,
        quantity,
    from usage_reasons
    where reason is not null
)

select
    reason,
    customer_id,
    feature,
    event_day,
    sum(events)::bigint as events,
    sum(quantity)::decimal(38, 9) as quantity,
from reasons
group by reason, customer_id, feature, event_day
having sum(events) <> 0
order by reason, customer_id, feature, event_day
