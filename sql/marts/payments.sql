-- what:    results of attempts to collect invoices, as they were landed, and refunds
-- grain:   one row per (action_id)
-- units:   amount_minor in whole minor units of the currency (cents), amount the
--          same in major units; settled in major units; taken_at in UTC
-- from:    payments, booked_invoices
-- read by: analysts
-- rules:   PAY-0, PAY-1, PAY-2, CUR-1
-- columns:
--   action_id: the action, payment or refund
--   customer_id: who pays, or is paid back
--   invoice_id: what it is for
--   number: the invoice's number; null where it is not posted
--   taken_at: when it counted, at its arrival at the earliest
--   result: succeeded, failed or refunded
--   currency: ISO 4217 code of the invoice, in which it was presented
--   amount_minor: what was presented, or paid back; never below zero
--   amount: what was presented, or paid back
--   settled: what was settled of it; null where nothing was said
--   settlement_currency: ISO 4217 code of settled; null where nothing was said
select
    payments.action_id,
    payments.customer_id,
    payments.invoice_id,
    booked_invoices.number,
    payments.taken_at at time zone 'UTC' as taken_at,
    payments.result,
    payments.currency,
    payments.amount_minor,
    payments.amount,
    payments.settled,
    payments.settlement_currency,
from payments
left join booked_invoices
    on payments.invoice_id = booked_invoices.invoice_id
order by payments.taken_at, payments.action_id
