-- what:    the present or last subscription of each customer
-- grain:   one row per (customer_id, subscription_id)
-- units:   plan_price and checkout_total in major units of the currency, plan_price for one
--          interval; instants in UTC
-- from:    subscriptions
-- read by: analysts, the revenue report
-- rules:   SUB-1, SUB-3, SUB-8, INV-1, FAIR-4, CAT-8, CHG-8
-- columns:
--   customer_id: who pays
--   subscription_id: the subscription
--   status: where it stands, for example active or past_due
--   plan: code of the plan
--   plan_name: what the customer knows the plan by
--   consumption_model: metered, credits or balance
--   interval: monthly, quarterly or yearly; null for a free plan
--   is_free: whether the plan has no price
--   currency: ISO 4217 code
--   plan_price: price of one interval, before discounts and tax
--   anchor_on: the day from which boundaries are counted
--   period_start: first day that the plan price pays for
--   period_end: the day after the last one that the plan price pays for
--   window_start: first day of the running month of usage
--   window_end: the day after its last one
--   cancel_on: the day on which the subscription ends
--   cancel_reason: why it ends or ended: requested, unpaid, plan_deleted or customer_deleted
--   next_plan: code of the plan from period_end on, where it is another plan or interval
--   next_interval: the interval from then on; null for a free plan
--   expires_at: until when a checkout can be paid or its trial set up, or could; null once
--     it was
--   checkout_total: what has to be paid for the subscription to begin; null if nothing
--   is_negotiated: whether terms agreed on stand above the catalog (override_terms), or
--     did in the running period
--   negotiated_until: when the last of them ends or ended, exclusive; null without end
--   trial_ends_at: when its trial ends, or ended; null where none began
select
    customer_id,
    subscription_id,
    status,
    plan,
    plan_name,
    consumption_model,
    interval,
    is_free,
    currency,
    plan_price,
    anchor_on,
    period_start,
    period_end,
    window_start,
    window_end,
    cancel_on,
    cancel_reason,
    next_plan,
    next_interval,
    expires_at at time zone 'UTC' as expires_at,
    checkout_total,
    is_negotiated,
    negotiated_until at time zone 'UTC' as negotiated_until,
    trial_ends_at at time zone 'UTC' as trial_ends_at,
from subscriptions
order by customer_id, subscription_id
