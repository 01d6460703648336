-- what:    what the closed window of an invoice used of each feature, against
--          what the plan included
-- grain:   one row per (invoice_id, feature, position)
-- units:   quantities in the priced unit of the feature, at nine places
-- from:    booked_invoices, booked_invoice_usage, draft_invoice_usage
-- read by: analysts, the revenue report
-- rules:   USE-4, USE-6
-- columns:
--   invoice_id: the invoice that closed the window
--   feature: code of the feature
--   position: place among the features of the invoice, from 1
--   status: posted or draft
--   name: what the customer knows the feature by
--   unit: the unit that is priced
--   unlimited: whether the plan includes any quantity
--   used: what the window used
--   included: what the plan included
--   from_included: used without further charge
--   billed: charged as overage
--   blocked: used above the included, never charged
--   waived: left uncharged by a cap
with

made as (
    select
        *,
        'posted' as status,
    from booked_invoice_usage
    union all by name
    select
        *,
        'draft' as status,
    from draft_invoice_usage
    where invoice_id not in (select invoice_id from booked_invoices)
)

select
    invoice_id,
    feature,
    position,
    status,
    name,
    unit,
    unlimited,
    used,
    included,
    from_included,
    billed,
    blocked,
    waived,
from made
order by invoice_id, feature, position
