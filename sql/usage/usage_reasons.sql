-- what:    every part of usage that has landed by a day, with the reason why no window takes
--          it in; null where one does
-- grain:   one row of usage_parts
-- units:   event units, of AI events all tokens
-- from:    usage_parts, windows, plan_features, customers, features
-- read by: usage_set_aside, checks
-- rules:   USE-1, USE-5, USE-6, USE-9, USE-11, ADD-6
-- bound:   as_of, one row: the last landing day that is looked at (through)
with

parts as (
    select
        landing_day,
        counts_from,
        event_day,
        used_at,
        customer_id,
        feature,
        model,
        is_negative,
        events,
        value,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from usage_parts
    where landing_day <= (select through from as_of)
),

names as (
    select
        external_id,
        customer_id,
    from customers
    where known_from <= (select through from as_of)
),

-- A window may be asked for at several cutoffs: it gives access once.
access as (
    select
        customer_id,
        start_at,
        end_at,
        max(window_id) as window_id,
    from windows
    group by customer_id, start_at, end_at
),

plans as (
    select
        window_id,
        feature,
        is_ai,
        from_at,
        until_at,
    from plan_features
),

defined as (
    select
        feature,
        aggregation,
    from features
)

select
    case
        when parts.counts_from > (select through from as_of) then 'future'
        when names.customer_id is null then 'unknown_customer'
        when defined.feature is null then 'unknown_feature'
        when parts.is_negative and defined.aggregation <> 'level'
            then 'negative_value'
        when access.window_id is null then 'no_access'
        when plans.feature is null then 'feature_not_in_plan'
        when plans.is_ai and parts.model is null then 'missing_tokens'
    end as reason,
    parts.customer_id,
    parts.feature,
    parts.event_day,
    parts.landing_day,
    parts.events,
    case
        when parts.model is null then parts.value
        else
            (
                parts.input_tokens
                + parts.output_tokens
                + parts.cache_read_tokens
                + parts.cache_write_tokens
            )::decimal(38, 9)
    end as quantity,
from parts
left join names on parts.customer_id = names.external_id
left join defined on parts.feature = defined.feature
left join access
    on
        names.customer_id = access.customer_id
        and parts.used_at >= access.start_at
        and parts.used_at < access.end_at
left join plans
    on
        access.window_id = plans.window_id
        and parts.feature = plans.feature
        and parts.used_at >= coalesce(plans.from_at, parts.used_at)
        and (plans.until_at is null or parts.used_at < plans.until_at)
