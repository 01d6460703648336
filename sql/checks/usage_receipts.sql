-- what:    landed files whose rows are not all accounted for, or days whose sums differ from
--          what was counted: nothing may be lost between landing and usage_daily
-- grain:   landing_day, path (null: the day as a whole)
-- units:   rows
-- from:    usage_receipts, usage_daily
-- read by: the blocking check on usage
-- rules:   USE-6
with

receipts as (
    select
        landing_day,
        path,
        rows,
        filtered,
        counted,
        duplicates,
        conflicts,
        set_aside,
        retracted,
        retractions,
        reversed,
    from usage_receipts
    where rows is not null
),

days as (
    select
        landing_day,
        sum(counted - reversed) as events,
    from receipts
    group by landing_day
),

daily as (
    select
        landing_day,
        sum(events) as events,
    from usage_daily
    group by landing_day
)

select
    landing_day,
    path,
    rows as expected,
    filtered
    + counted
    + duplicates
    + conflicts
    + set_aside
    + retracted
    + retractions as found,
from receipts
where
    rows <> filtered
    + counted
    + duplicates
    + conflicts
    + set_aside
    + retracted
    + retractions
union all
select
    coalesce(days.landing_day, daily.landing_day) as landing_day,
    null as path,
    coalesce(days.events, 0)::bigint as expected,
    coalesce(daily.events, 0)::bigint as found,
from days
full outer join daily on days.landing_day = daily.landing_day
where coalesce(days.events, 0) <> coalesce(daily.events, 0)
order by landing_day, path nulls first
