-- what:    the parts of usage that count in a window, as known at its cutoff
-- grain:   window_id, and a row of usage_parts
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    usage_parts, rated_windows
-- read by: usage_snapshots, usage_snapshot_tokens
-- rules:   USE-1, USE-3, USE-8
with

parts as (
    select
        counts_from,
        used_at,
        customer_id,
        feature,
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
    from usage_parts
),

asked as (
    select
        window_id,
        feature,
        external_id,
        start_at,
        end_at,
        cutoff_on,
        is_ai,
        aggregation,
    from rated_windows
)

select
    asked.window_id,
    asked.feature,
    asked.is_ai,
    asked.aggregation,
    parts.model,
    parts.price_id,
    parts.events,
    parts.value,
    parts.amount,
    parts.input_tokens,
    parts.output_tokens,
    parts.cache_read_tokens,
    parts.cache_write_tokens,
    parts.input_units,
    parts.output_units,
    parts.cache_read_units,
    parts.cache_write_units,
from parts
inner join asked
    on
        parts.customer_id = asked.external_id
        and parts.feature = asked.feature
        and parts.used_at >= asked.start_at
        and parts.used_at < asked.end_at
        and parts.counts_from <= asked.cutoff_on
where
    (not parts.is_negative or asked.aggregation = 'level')
    and (not asked.is_ai or parts.model is not null)
