-- what:    the parts of invoice lines: tiers, and token classes of AI models
-- grain:   one row per (invoice_id, line, detail)
-- units:   amount_minor in whole minor units of the currency, amount in major
--          units; unit_price in major units a unit, of tokens a million
-- from:    booked_invoices, booked_invoice_line_details,
--          draft_invoice_line_details
-- read by: analysts, the revenue report
-- rules:   INV-3, CAT-10, AI-1
-- columns:
--   invoice_id: the invoice that the line stands on
--   line: the line's place on the page, from 1
--   detail: the part's place within the line, from 1
--   status: posted or draft
--   kind: tier, flat, tokens or margin
--   label: the tier's bounds or the AI model
--   token_class: input, output, cache_read or cache_write, of tokens
--   quantity: units of the part, at nine places; null where there are none
--   unit_price: price of one unit, of a million tokens
--   currency: ISO 4217 code of every amount of the row
--   amount_minor: the part's share of the line
--   amount: the part's share of the line
with

made as (
    select
        *,
        'posted' as status,
    from booked_invoice_line_details
    union all by name
    select
        *,
        'draft' as status,
    from draft_invoice_line_details
    where invoice_id not in (select invoice_id from booked_invoices)
)

select
    invoice_id,
    line,
    detail,
    status,
    kind,
    label,
    token_class,
    quantity,
    unit_price,
    currency,
    amount_minor,
    amount,
from made
order by invoice_id, line, detail
