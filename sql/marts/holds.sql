-- what:    customers whose invoices wait for a decision
-- grain:   one row per (customer_id, reason)
-- units:   none
-- from:    draft_holds
-- read by: analysts
-- rules:   USE-2, PST-5
-- columns:
--   customer_id: whose invoices wait
--   reason: conflict, engine_change or missing_usage
select
    customer_id,
    reason,
from draft_holds
order by customer_id, reason
