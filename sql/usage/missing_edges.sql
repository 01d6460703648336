-- what:    days whose single events are asked for and not kept yet
-- grain:   landing_day, customer_id (as on the event), event_day
-- units:   none
-- from:    usage_daily, usage_edges, edge_days
-- read by: pipelines/edges.py
-- rules:   USE-3
with

days as (
    select
        customer_id,
        event_day,
    from edge_days
),

landed as (
    select distinct
        usage_daily.landing_day,
        usage_daily.customer_id,
        usage_daily.event_day,
    from usage_daily
    semi join days
        on
            usage_daily.customer_id = days.customer_id
            and usage_daily.event_day = days.event_day
),

kept as (
    select distinct
        landing_day,
        customer_id,
        event_day,
    from usage_edges
)

select
    landed.landing_day,
    landed.customer_id,
    landed.event_day,
from landed
anti join kept
    on
        landed.landing_day = kept.landing_day
        and landed.customer_id = kept.customer_id
        and landed.event_day = kept.event_day
order by
    landed.landing_day,
    landed.customer_id,
    landed.event_day
