-- what:    every invoice: posted ones with number and dates, drafts without
-- grain:   one row per (invoice_id)
-- units:   *_minor in whole minor units of the currency (cents), the same
--          amounts without _minor in major units; instants in UTC
-- from:    booked_invoices, draft_invoices, invoice_balances
-- read by: analysts, the revenue report
-- rules:   INV-4, INV-9, PAY-0, PAY-1, PAY-2, PST-2, PST-6
-- columns:
--   invoice_id: the same from the first draft on; payments name it
--   customer_id: who is asked to pay
--   number: the number on the page, gapless by seller and year; null for drafts
--   sequence: the number's own number; null for drafts
--   seller: who numbered it; null for drafts
--   posting: the posting in the books that made it final; null for drafts
--   status: posted or draft
--   invoice_type: why it was made, for example initial or recurring
--   plan: code of the plan that it is about
--   plan_name: what the customer knows the plan by
--   note: a text that the law wants on the page
--   is_postable: false for a checkout that is not paid yet
--   lines: number of lines
--   currency: ISO 4217 code of every amount of the row
--   minor_digits: decimals of the currency's minor unit
--   subtotal_minor: sum of all lines but tax
--   tax_minor: sum of the tax lines
--   total_minor: subtotal and tax
--   paid_minor: paid so far, less what later invoices drew; null where no run
--       has told
--   refunded_minor: paid back so far; null where no run has told
--   credited_minor: credited so far; null where no run has told
--   written_off_minor: asked for no more; null where no run has told
--   unpaid_minor: still to pay; null where no run has told
--   subtotal: sum of all lines but tax
--   tax: sum of the tax lines
--   total: subtotal and tax
--   paid: paid so far, less what later invoices drew; null as above
--   refunded: paid back so far; null as above
--   credited: credited so far; null as above
--   written_off: asked for no more; null as above
--   unpaid: still to pay; null where no run has told
--   is_uncollectible: its dunning has ended without success; null as above
--   billing_day: date of the invoice in the customer's time zone
--   issued_on: date of posting; null for drafts
--   due_on: last day to pay; null for drafts
--   period_start: first day that the plan price pays for
--   period_end: the day after the last one that the plan price pays for
--   window_start: first day of the usage that was closed
--   window_end: the day after the last one of the usage that was closed
--   cutoff_on: last landing day that it was rated with; null without usage
--   made_at: instant of the boundary or action that made it
with

made as (
    select
        *,
        'posted' as status,
    from booked_invoices
    union all by name
    select
        *,
        'draft' as status,
    from draft_invoices
    where invoice_id not in (select invoice_id from booked_invoices)
),

balances as (
    select
        invoice_id,
        paid_minor,
        refunded_minor,
        credited_minor,
        written_off_minor,
        unpaid_minor,
        paid,
        refunded,
        credited,
        written_off,
        unpaid,
        is_uncollectible,
    from invoice_balances
)

select
    made.invoice_id,
    made.customer_id,
    made.number,
    made.sequence,
    made.seller,
    made.posting,
    made.status,
    made.invoice_type,
    made.plan,
    made.plan_name,
    made.note,
    made.is_postable,
    made.lines,
    made.currency,
    made.minor_digits,
    made.subtotal_minor,
    made.tax_minor,
    made.total_minor,
    balances.paid_minor,
    balances.refunded_minor,
    balances.credited_minor,
    balances.written_off_minor,
    balances.unpaid_minor,
    made.subtotal,
    made.tax,
    made.total,
    balances.paid,
    balances.refunded,
    balances.credited,
    balances.written_off,
    balances.unpaid,
    balances.is_uncollectible,
    made.billing_day,
    made.issued_on,
    made.due_on,
    made.period_start,
    made.period_end,
    made.window_start,
    made.window_end,
    made.cutoff_on,
    made.made_at at time zone 'UTC' as made_at,
from made
left join balances on made.invoice_id = balances.invoice_id
order by made.billing_day, made.customer_id, made.made_at, made.invoice_id
