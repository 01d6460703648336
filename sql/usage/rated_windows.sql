-- what:    every feature of the plan in every window, under every id of the customer; of one
--          that could not be used in all of the window the parts in which it could
-- grain:   window_id, feature, external_id, start_at
-- units:   instants in UTC
-- from:    windows, plan_features, customers, features
-- read by: windowed_usage, windowed_states, windowed_margins
-- rules:   USE-1, USE-8, ADD-6
with

asked as (
    select
        window_id,
        customer_id,
        start_at,
        end_at,
        cutoff_on,
    from windows
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

names as (
    select
        external_id,
        customer_id,
        known_from,
    from customers
),

defined as (
    select
        feature,
        aggregation,
    from features
)

select
    asked.window_id,
    plans.feature,
    names.external_id,
    greatest(asked.start_at, plans.from_at) as start_at,
    least(asked.end_at, plans.until_at) as end_at,
    asked.cutoff_on,
    plans.is_ai,
    defined.aggregation,
from asked
inner join plans on asked.window_id = plans.window_id
inner join defined on plans.feature = defined.feature
inner join names
    on
        asked.customer_id = names.customer_id
        and asked.cutoff_on >= names.known_from
