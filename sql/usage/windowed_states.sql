-- what:    maxima, latest values and distinct counts of windows, as known at their cutoffs
-- grain:   window_id, feature
-- units:   event units; distinct values
-- from:    usage_states, usage_edges, edge_days, rated_windows
-- read by: usage_snapshots
-- rules:   CAT-11, USE-3, USE-8, USE-9
with

asked as (
    select
        window_id,
        feature,
        external_id,
        start_at,
        end_at,
        cutoff_on,
        aggregation,
    from rated_windows
    where
        aggregation in ('max', 'latest', 'unique_count')
        and not is_ai
),

days as (
    select
        customer_id,
        event_day,
    from edge_days
),

-- Distinct values are kept by day: on a day that a window cuts, the single events count.
whole as (
    select
        usage_states.counts_from,
        usage_states.customer_id,
        usage_states.feature,
        make_timestamp(epoch_us(usage_states.occurred_at)) as used_at,
        usage_states.source,
        usage_states.event_id,
        usage_states.property_digest,
        usage_states.value,
        usage_states.events,
    from usage_states
    left join days
        on
            usage_states.customer_id = days.customer_id
            and usage_states.event_day = days.event_day
    where
        not usage_states.is_negative
        and (
            days.event_day is null
            or usage_states.property_digest is null
        )
),

cut as (
    select
        usage_edges.counts_from,
        usage_edges.customer_id,
        usage_edges.feature,
        make_timestamp(epoch_us(usage_edges.occurred_at)) as used_at,
        null::varchar as source,
        null::varchar as event_id,
        usage_edges.property_digest,
        null::decimal(38, 9) as value,
        usage_edges.events,
    from usage_edges
    semi join days
        on
            usage_edges.customer_id = days.customer_id
            and usage_edges.event_day = days.event_day
    where
        usage_edges.property_digest is not null
        and not usage_edges.is_negative
),

parts as (
    select
        counts_from,
        customer_id,
        feature,
        used_at,
        source,
        event_id,
        property_digest,
        value,
        events,
    from whole
    union all
    select
        counts_from,
        customer_id,
        feature,
        used_at,
        source,
        event_id,
        property_digest,
        value,
        events,
    from cut
),

-- One row an event or a distinct value; what was taken back adds up to nothing.
present as (
    select
        asked.window_id,
        asked.feature,
        asked.aggregation,
        case
            when asked.aggregation <> 'unique_count' then parts.used_at
        end as used_at,
        parts.source,
        parts.event_id,
        parts.property_digest,
        parts.value,
    from parts
    inner join asked
        on
            parts.customer_id = asked.external_id
            and parts.feature = asked.feature
            and parts.used_at >= asked.start_at
            and parts.used_at < asked.end_at
            and parts.counts_from <= asked.cutoff_on
    group by all
    having sum(parts.events) > 0
),

latest as (
    select
        window_id,
        feature,
        value as quantity,
    from present
    where aggregation = 'latest'
    qualify
        row_number() over (
            partition by window_id, feature
            order by used_at desc, source desc, event_id desc, value desc
        ) = 1
)

select
    window_id,
    feature,
    quantity,
from latest
union all
select
    window_id,
    feature,
    max(value) as quantity,
from present
where aggregation = 'max'
group by window_id, feature
union all
select
    window_id,
    feature,
    count(*)::decimal(38, 9) as quantity,
from present
where aggregation = 'unique_count'
group by window_id, feature
