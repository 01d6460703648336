-- what:    what a maximum, a latest value, a level or a number of distinct values is made of
-- grain:   one row an event of such a feature; of distinct values one row a customer, day
--          and value. events is negative where a retraction takes something back.
-- units:   event units; the counted property only as a digest
-- from:    counted_events, stateful_features
-- read by: snapshots
-- rules:   CAT-11, USE-9
with

events as (
    select
        landing_day,
        counts_from,
        event_day,
        source,
        event_id,
        customer_id,
        feature,
        property,
        is_negative,
        events,
        value,
        occurred_at,
    from counted_events
),

features as (
    select
        feature,
        aggregation,
    from stateful_features
),

parts as (
    select
        events.landing_day,
        events.counts_from,
        events.event_day,
        events.customer_id,
        events.feature,
        events.is_negative,
        events.events,
        case
            when features.aggregation = 'unique_count'
                then events.event_day::timestamp
            else events.occurred_at
        end as occurred_at,
        case
            when features.aggregation <> 'unique_count' then events.source
        end as source,
        case
            when features.aggregation <> 'unique_count' then events.event_id
        end as event_id,
        case
            when features.aggregation <> 'unique_count'
                then events.events * events.value
        end as value,
        case
            when features.aggregation = 'unique_count'
                then md5(events.property)
        end as property_digest,
    from events
    inner join features on events.feature = features.feature
)

select
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    occurred_at,
    source,
    event_id,
    property_digest,
    is_negative,
    value,
    sum(events)::bigint as events,
from parts
group by
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    occurred_at,
    source,
    event_id,
    property_digest,
    is_negative,
    value
order by
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    occurred_at,
    source nulls first,
    event_id nulls first,
    property_digest nulls first,
    is_negative,
    value nulls first
