-- what:    landed rows that could not be counted, by customer, feature and day
-- grain:   reason, customer_id (as on the event), feature, event_day
-- units:   rows; of an event that could not be read there is no quantity
-- from:    set_aside, customers, features
-- read by: pipelines/snapshots.py
-- rules:   USE-1, USE-11
-- bound:   as_of, one row: the last landing day that is looked at (through)
with

landed as (
    select
        reason,
        customer_id,
        feature,
        make_timestamp(epoch_us(occurred_at))::date as event_day,
    from set_aside
    where
        landing_day <= (select through from as_of)
        and row_number is not null
),

names as (
    select
        external_id,
        customer_id,
    from customers
    where known_from <= (select through from as_of)
),

defined as (
    select feature from features
),

-- Whose event it is, and of which feature, is asked before its tokens and its model.
named as (
    select
        case
            when
                landed.reason not in (
                    'missing_tokens', 'unknown_model', 'ambiguous_model'
                )
                then landed.reason
            when names.customer_id is null then 'unknown_customer'
            when defined.feature is null then 'unknown_feature'
            else landed.reason
        end as reason,
        landed.customer_id,
        landed.feature,
        landed.event_day,
    from landed
    left join names on landed.customer_id = names.external_id
    left join defined on landed.feature = defined.feature
)

select
    reason,
    customer_id,
    feature,
    event_day,
    count(*)::bigint as events,
    0::decimal(38, 9) as quantity,
from named
group by reason, customer_id, feature, event_day
order by
    reason,
    customer_id nulls first,
    feature nulls first,
    event_day nulls first
