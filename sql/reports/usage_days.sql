-- what:    events of each day of a month
-- grain:   one row per (event_day)
-- units:   events
-- from:    usage_daily
-- read by: pipelines/revenue.py
-- rules:   USE-3
select
    usage_daily.event_day,
    cast(sum(usage_daily.events) as bigint) as events,
from usage_daily
where
    usage_daily.event_day >= $month
    and usage_daily.event_day < $next_month
group by usage_daily.event_day
order by usage_daily.event_day
