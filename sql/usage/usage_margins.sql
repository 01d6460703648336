-- what:    margins on AI tokens that are rounded up for each event, for each margin in use
-- grain:   landing_day, counts_from, event_day, customer_id, feature, model, price_id,
--          margin_bp
-- units:   rate units (0.0001)
-- from:    priced_events, margins
-- read by: snapshots
-- rules:   AI-1, AI-5, AI-7
with

events as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        model,
        price_id,
        events,
        abs(
            input_units + output_units + cache_read_units + cache_write_units
        ) as subtotal_units,
    from priced_events
    where is_per_event
),

rates as (
    select margin_bp from margins
)

select
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.customer_id,
    events.feature,
    events.model,
    events.price_id,
    rates.margin_bp,
    sum(
        events.events
        * ((events.subtotal_units * rates.margin_bp + 9999) // 10000)
    )::bigint as margin_units,
from events
cross join rates
group by
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.customer_id,
    events.feature,
    events.model,
    events.price_id,
    rates.margin_bp
order by
    events.landing_day,
    events.counts_from,
    events.event_day,
    events.customer_id,
    events.feature,
    events.model,
    events.price_id,
    rates.margin_bp
