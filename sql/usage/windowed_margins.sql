-- what:    margins of windows on AI tokens that are rounded up for each event
-- grain:   window_id, feature, model, price_id, margin_bp
-- units:   rate units (0.0001)
-- from:    usage_margins, usage_edges, margins, edge_days, rated_windows
-- read by: pipelines/snapshots.py
-- rules:   AI-1, AI-5, AI-7
with

asked as (
    select
        window_id,
        feature,
        external_id,
        start_at,
        end_at,
        cutoff_on,
    from rated_windows
    where is_ai
),

days as (
    select
        customer_id,
        event_day,
    from edge_days
),

rates as (
    select margin_bp from margins
),

parts as (
    select
        usage_margins.counts_from,
        usage_margins.event_day::timestamp as used_at,
        usage_margins.customer_id,
        usage_margins.feature,
        usage_margins.model,
        usage_margins.price_id,
        usage_margins.margin_bp,
        usage_margins.margin_units,
    from usage_margins
    anti join days
        on
            usage_margins.customer_id = days.customer_id
            and usage_margins.event_day = days.event_day
    union all
    select
        usage_edges.counts_from,
        make_timestamp(epoch_us(usage_edges.occurred_at)) as used_at,
        usage_edges.customer_id,
        usage_edges.feature,
        usage_edges.model,
        usage_edges.price_id,
        rates.margin_bp,
        usage_edges.events * (
            (
                abs(
                    usage_edges.input_units
                    + usage_edges.output_units
                    + usage_edges.cache_read_units
                    + usage_edges.cache_write_units
                ) * rates.margin_bp
                + 9999
            ) // 10000
        ) as margin_units,
    from usage_edges
    semi join days
        on
            usage_edges.customer_id = days.customer_id
            and usage_edges.event_day = days.event_day
    cross join rates
    where usage_edges.model is not null
)

select
    asked.window_id,
    asked.feature,
    parts.model,
    parts.price_id,
    parts.margin_bp,
    sum(parts.margin_units)::bigint as margin_units,
from parts
inner join asked
    on
        parts.customer_id = asked.external_id
        and parts.feature = asked.feature
        and parts.used_at >= asked.start_at
        and parts.used_at < asked.end_at
        and parts.counts_from <= asked.cutoff_on
group by
    asked.window_id,
    asked.feature,
    parts.model,
    parts.price_id,
    parts.margin_bp
