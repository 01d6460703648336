-- what:    invoices of another billing system that were unpaid when their customer moved in
-- grain:   one row per (customer_id, invoice)
-- units:   major units of the currency
-- from:    opening_invoices
-- read by: analysts, the revenue report
-- rules:   CUS-2, PAY-2
-- columns:
--   customer_id: who is asked to pay
--   invoice: the number that it has there; payments name it
--   currency: ISO 4217 code of every amount of the row
--   amount: what was unpaid when the customer moved in
--   paid: paid since
--   refunded: of that, paid back
--   written_off: asked for no more
--   unpaid: still to pay
--   due_on: last day to pay
select
    customer_id,
    invoice,
    currency,
    amount,
    paid,
    refunded,
    written_off,
    unpaid,
    due_on,
from opening_invoices
order by customer_id, invoice
