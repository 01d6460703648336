-- what:    margins on AI tokens that are rounded up for each event, for each margin in use
-- grain:   landing_day, counts_from, event_day, customer_id, feature, model, price_id,
--          margin_bp
-- units:   rate units (0.0001)
-- from:    token_costs, event_keys, margins
-- read by: snapshots
-- rules:   AI-1, AI-5, AI-7
with

costs as (
    select
        event_key,
        events,
        input_units
        + output_units
        + cache_read_units
        + cache_write_units as subtotal_units,
    from token_costs
),

names as (
    select
        event_key,
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        model,
        price_id,
    from event_keys
),

rates as (
    select margin_bp from margins
)

select
    names.landing_day,
    names.counts_from,
    names.event_day,
    names.customer_id,
    names.feature,
    names.model,
    names.price_id,
    rates.margin_bp,
    sum(
        costs.events
        * ((costs.subtotal_units * rates.margin_bp + 9999) // 10000)
    )::bigint as margin_units,
from costs
inner join names on costs.event_key = names.event_key
cross join rates
group by
    names.landing_day,
    names.counts_from,
    names.event_day,
    names.customer_id,
    names.feature,
    names.model,
    names.price_id,
    rates.margin_bp
order by
    names.landing_day,
    names.counts_from,
    names.event_day,
    names.customer_id,
    names.feature,
    names.model,
    names.price_id,
    rates.margin_bp
