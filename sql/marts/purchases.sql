-- what:    purchases of packs, top-ups and add-ons that wait for their payment
-- grain:   one row per (invoice_id)
-- units:   total in major units of the currency, with tax
-- from:    purchases
-- read by: analysts, fairbill status
-- rules:   PAY-0, PAY-3
-- columns:
--   invoice_id: the invoice that is made when it is paid; a payment names it
--   customer_id: who pays
--   invoice_type: addon_activation, pack_purchase or balance_topup
--   code: code of the add-on or pack; null for a top-up
--   name: what the customer knows it by
--   currency: ISO 4217 code
--   total: what has to be paid
--   asked_on: the customer's date of the purchase
select
    invoice_id,
    customer_id,
    invoice_type,
    code,
    name,
    currency,
    total,
    asked_on,
from purchases
order by invoice_id
