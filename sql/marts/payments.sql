-- what:    results of attempts to collect invoices, as they were landed
-- grain:   one row per (action_id)
-- units:   amount_minor in whole minor units of the currency (cents), amount the
--          same in major units; settled in major units; taken_at in UTC
-- from:    payments
-- read by: analysts
-- rules:   PAY-0, PAY-1, CUR-1
-- columns:
--   action_id: the payment's action
--   customer_id: who pays
--   invoice_id: what it is for
--   taken_at: when it counted, at its arrival at the earliest
--   result: succeeded or failed
--   currency: ISO 4217 code of the invoice, in which it was presented
--   amount_minor: what was presented
--   amount: what was presented
--   settled: what was settled of it; null where nothing was said
--   settlement_currency: ISO 4217 code of settled; null where nothing was said
select
    action_id,
    customer_id,
    invoice_id,
    taken_at at time zone 'UTC' as taken_at,
    result,
    currency,
    amount_minor,
    amount,
    settled,
    settlement_currency,
from payments
order by taken_at, action_id
