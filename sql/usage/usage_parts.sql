-- what:    usage in parts that no window of the customer cuts: whole event days, and
--          single events on the days inside which one of his windows starts or ends
-- grain:   one row of usage_daily, or one event
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    usage_daily, usage_edges, edge_days
-- read by: windowed_usage, usage_reasons
-- rules:   USE-3, CNV-9
with

days as (
    select
        customer_id,
        event_day,
    from edge_days
)

select
    usage_daily.landing_day,
    usage_daily.counts_from,
    usage_daily.event_day,
    usage_daily.event_day::timestamp as used_at,
    usage_daily.customer_id,
    usage_daily.feature,
    usage_daily.model,
    usage_daily.price_id,
    usage_daily.is_negative,
    usage_daily.events,
    usage_daily.value,
    usage_daily.amount,
    usage_daily.input_tokens,
    usage_daily.output_tokens,
    usage_daily.cache_read_tokens,
    usage_daily.cache_write_tokens,
    usage_daily.input_units,
    usage_daily.output_units,
    usage_daily.cache_read_units,
    usage_daily.cache_write_units,
from usage_daily
anti join days
    on
        usage_daily.customer_id = days.customer_id
        and usage_daily.event_day = days.event_day
union all
select
    usage_edges.landing_day,
    usage_edges.counts_from,
    usage_edges.event_day,
    make_timestamp(epoch_us(usage_edges.occurred_at)) as used_at,
    usage_edges.customer_id,
    usage_edges.feature,
    usage_edges.model,
    usage_edges.price_id,
    usage_edges.is_negative,
    usage_edges.events,
    usage_edges.value,
    usage_edges.amount,
    usage_edges.input_tokens,
    usage_edges.output_tokens,
    usage_edges.cache_read_tokens,
    usage_edges.cache_write_tokens,
    usage_edges.input_units,
    usage_edges.output_units,
    usage_edges.cache_read_units,
    usage_edges.cache_write_units,
from usage_edges
semi join days
    on
        usage_edges.customer_id = days.customer_id
        and usage_edges.event_day = days.event_day
