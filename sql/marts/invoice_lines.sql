-- what:    every line of every invoice, with its working
-- grain:   one row per (invoice_id, line)
-- units:   amount_minor in whole minor units of the currency, amount and
--          unit_price in major units; quantities in the line's own unit
-- from:    booked_invoices, booked_invoice_lines, draft_invoices,
--          draft_invoice_lines
-- read by: analysts, the revenue report
-- rules:   INV-3, CNV-5, CAT-12
-- columns:
--   invoice_id: the invoice that the line stands on
--   line: place on the page, from 1
--   customer_id: who is asked to pay
--   status: posted or draft
--   line_type: what it charges or credits, for example plan_base
--   code: feature, add-on, pack or item; of tax the category; null for the plan
--   charge_type: advance or true_up, for seats
--   name: what the customer knows it by
--   unit: the unit that is priced
--   rule: the rule that made the line
--   corrects: the invoice that an adjustment corrects
--   tax_category: what decides on the tax rate
--   tax_rate_bp: basis points, of tax lines
--   unlimited: whether the plan includes any quantity
--   days_charged: days charged, where the amount is prorated
--   days_in_period: all days of the period, where the amount is prorated
--   quantity: what was charged, at nine places
--   unit_price: price of one unit; null where tiers or models have several
--   used: what the window used, of lines about usage or seats
--   included: what the plan included, of lines about usage or seats
--   quantity_exact: the quantity without rounding, as a fraction
--   currency: ISO 4217 code of every amount of the row
--   amount_minor: the amount, rounded once
--   amount: the amount, rounded once
--   billing_day: date of the invoice in the customer's time zone
--   service_start: first day that the line pays for
--   service_end: the day after the last one that the line pays for
with

made as (
    select
        *,
        'posted' as status,
    from booked_invoice_lines
    union all by name
    select
        *,
        'draft' as status,
    from draft_invoice_lines
    where invoice_id not in (select invoice_id from booked_invoices)
)

select
    invoice_id,
    line,
    customer_id,
    status,
    line_type,
    code,
    charge_type,
    name,
    unit,
    rule,
    corrects,
    tax_category,
    tax_rate_bp,
    unlimited,
    days_charged,
    days_in_period,
    quantity,
    unit_price,
    used,
    included,
    quantity_exact,
    currency,
    amount_minor,
    amount,
    billing_day,
    service_start,
    service_end,
from made
order by invoice_id, line
