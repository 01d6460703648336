-- what:    days whose single events do not add up to what usage_daily says
-- grain:   landing_day, customer_id, event_day, feature
-- units:   events; event units
-- from:    usage_edges, usage_daily
-- read by: the blocking check on usage
-- rules:   USE-6
with

edges as (
    select
        landing_day,
        customer_id,
        event_day,
        feature,
        sum(events) as events,
        sum(value) as value,
        sum(input_tokens + output_tokens) as tokens,
    from usage_edges
    group by landing_day, customer_id, event_day, feature
),

kept as (
    select distinct
        landing_day,
        customer_id,
        event_day,
    from edges
),

daily as (
    select
        usage_daily.landing_day,
        usage_daily.customer_id,
        usage_daily.event_day,
        usage_daily.feature,
        sum(usage_daily.events) as events,
        sum(usage_daily.value) as value,
        sum(usage_daily.input_tokens + usage_daily.output_tokens) as tokens,
    from usage_daily
    semi join kept
        on
            usage_daily.landing_day = kept.landing_day
            and usage_daily.customer_id = kept.customer_id
            and usage_daily.event_day = kept.event_day
    group by
        usage_daily.landing_day,
        usage_daily.customer_id,
        usage_daily.event_day,
        usage_daily.feature
)

select
    coalesce(daily.landing_day, edges.landing_day) as landing_day,
    coalesce(daily.customer_id, edges.customer_id) as customer_id,
    coalesce(daily.event_day, edges.event_day) as event_day,
    coalesce(daily.feature, edges.feature) as feature,
    daily.events::bigint as expected,
    edges.events::bigint as found,
from daily
full outer join edges
    on
        daily.landing_day = edges.landing_day
        and daily.customer_id = edges.customer_id
        and daily.event_day = edges.event_day
        and daily.feature = edges.feature
where
    daily.events is distinct from edges.events
    or daily.value is distinct from edges.value
    or daily.tokens is distinct from edges.tokens
order by landing_day, customer_id, event_day, feature
