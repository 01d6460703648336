-- what:    the single events of the days inside which some customer's window starts or ends
-- grain:   one row an event (events = 1), or one that a retraction takes back (-1)
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    priced_events, wanted_days
-- read by: snapshots, checks
-- rules:   USE-3, CNV-9
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
        dimension_1,
        dimension_2,
        property,
        model,
        price_id,
        is_negative,
        events,
        value,
        amount,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
        occurred_at,
    from priced_events
),

days as (
    select
        customer_id,
        event_day,
    from wanted_days
)

select
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.customer_id,
    events.feature,
    events.occurred_at,
    events.source,
    events.event_id,
    events.dimension_1,
    events.dimension_2,
    events.model,
    events.price_id,
    md5(events.property) as property_digest,
    events.is_negative,
    events.events,
    events.value,
    coalesce(events.amount, 0)::decimal(38, 9) as amount,
    coalesce(events.input_tokens, 0)::bigint as input_tokens,
    coalesce(events.output_tokens, 0)::bigint as output_tokens,
    coalesce(events.cache_read_tokens, 0)::bigint as cache_read_tokens,
    coalesce(events.cache_write_tokens, 0)::bigint as cache_write_tokens,
    events.input_units::bigint as input_units,
    events.output_units::bigint as output_units,
    events.cache_read_units::bigint as cache_read_units,
    events.cache_write_units::bigint as cache_write_units,
from events
semi join days
    on
        events.customer_id = days.customer_id
        and events.event_day = days.event_day
order by
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.customer_id,
    events.feature,
    events.occurred_at,
    events.source,
    events.event_id,
    events.events
