-- what:    usage that no window takes in, as known at a landing day
-- grain:   reason, customer_id (as on the event), feature, event_day
-- units:   event units, of AI events all tokens; landing_day is the first one, path the
--          files of which that usage was counted on its landing days
-- from:    usage_reasons, usage_receipts
-- read by: marts, checks, pipelines/status.py
-- rules:   USE-1, USE-5, USE-11
-- bound:   as_of, one row: the last landing day that is looked at (through)
with

reasons as (
    select
        reason,
        customer_id,
        feature,
        event_day,
        landing_day,
        events,
        quantity,
    from usage_reasons
    where reason is not null
),

days as (
    select
        reason,
        customer_id,
        feature,
        event_day,
        landing_day,
        sum(events) as events,
        sum(quantity) as quantity,
    from reasons
    group by reason, customer_id, feature, event_day, landing_day
),

files as (
    select
        landing_day,
        min(path) as path,
        count(*) as files,
    from usage_receipts
    where counted > 0
    group by landing_day
)

select
    days.reason,
    days.customer_id,
    days.feature,
    days.event_day,
    sum(days.events)::bigint as events,
    sum(days.quantity)::decimal(38, 9) as quantity,
    min(days.landing_day) as landing_day,
    case
        when sum(files.files) = 1 then min(files.path)
        else
            min(files.path)
            || ' and '
            || (sum(files.files) - 1)::varchar
            || ' more'
    end as path,
from days
left join files on days.landing_day = files.landing_day
group by days.reason, days.customer_id, days.feature, days.event_day
having sum(days.events) <> 0
order by days.reason, days.customer_id, days.feature, days.event_day
