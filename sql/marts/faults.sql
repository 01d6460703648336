-- what:    customers that the last run could not bill, and why
-- grain:   one row per (customer_id, code, what, place, mend)
-- units:   none
-- from:    draft_faults
-- read by: analysts
-- rules:   PST-4
-- columns:
--   customer_id: who is not billed
--   code: the error's code, which never changes
--   what: what is wrong
--   place: where it is wrong
--   mend: how to mend it
select
    customer_id,
    code,
    what,
    "where" as place,
    mend,
from draft_faults
order by customer_id, code, what, place, mend
