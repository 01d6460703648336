-- what:    what became of each action
-- grain:   one row per (action_id, customer_id)
-- units:   instants in UTC
-- from:    booked_outcomes, draft_outcomes
-- read by: analysts
-- rules:   ACT-2, ACT-6, FAIR-10
-- columns:
--   action_id: the action
--   customer_id: whom it concerns; null where it concerns no single customer
--   is_booked: whether a posting has fixed the outcome
--   status: applied, scheduled or refused
--   reason: why it was refused
--   what: one sentence for people
--   scheduled_on: the day on which it will happen
--   effective_at: when it takes effect
--   received_at: when it arrived
with

decided as (
    select
        *,
        true as is_booked,
    from booked_outcomes
    union all by name
    select
        draft_outcomes.*,
        false as is_booked,
    from draft_outcomes
    anti join booked_outcomes
        on
            draft_outcomes.action_id = booked_outcomes.action_id
            and draft_outcomes.customer_id
            is not distinct from booked_outcomes.customer_id
)

select
    action_id,
    customer_id,
    is_booked,
    status,
    reason,
    what,
    scheduled_on,
    decided.at at time zone 'UTC' as effective_at,
    received_at at time zone 'UTC' as received_at,
from decided
order by effective_at, action_id, customer_id nulls first
