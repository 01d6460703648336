-- what:    money that customers were granted or given back, which invoices draw on
-- grain:   one row per (customer_id, credit_id)
-- units:   major units of the currency; instants in UTC
-- from:    customer_credits, booked_invoice_lines, draft_invoice_lines,
--          booked_invoices, run_days
-- read by: analysts
-- rules:   CUS-1, CHG-6, INV-10, INV-13
-- columns:
--   customer_id: whose it is
--   credit_id: the code of the invoice lines that draw on it
--   reason: why it was granted, as it stands on invoices
--   is_expired: whether it had expired at the end of the last day run
--   currency: ISO 4217 code of every amount of the row
--   granted: what it was at first
--   drawn: what invoices have drawn, posted and drafts
--   drawn_posted: what of that is posted
--   taken_back: what was revoked; below zero what a posted invoice drew beyond
--       it, which a later one charges
--   remaining: what is left; nothing draws on it any more once it has expired
--   granted_at: when it was granted
--   expires_at: until when invoices draw on it, exclusive; null without end
with

credits as (
    select
        customer_id,
        credit_id,
        min(reason) as reason,
        min(currency) as currency,
        sum(granted) as granted,
        sum("left") as remaining,
        min(granted_at) as granted_at,
        max(expires_at) as expires_at,
    from customer_credits
    group by customer_id, credit_id
),

lines as (
    select
        customer_id,
        code as credit_id,
        -amount as drawn,
        -amount as drawn_posted,
    from booked_invoice_lines
    where charge_type = 'customer_credit' and line_type = 'credit'
    union all by name
    select
        customer_id,
        code as credit_id,
        -amount as drawn,
        0 as drawn_posted,
    from draft_invoice_lines
    where
        charge_type = 'customer_credit'
        and line_type = 'credit'
        and invoice_id not in (select invoice_id from booked_invoices)
),

draws as (
    select
        customer_id,
        credit_id,
        sum(drawn) as drawn,
        sum(drawn_posted) as drawn_posted,
    from lines
    group by customer_id, credit_id
)

select
    credits.customer_id,
    credits.credit_id,
    credits.reason,
    coalesce(
        credits.expires_at at time zone 'UTC'
        <= cast(run_days.as_of + 1 as timestamp),
        false
    ) as is_expired,
    credits.currency,
    credits.granted,
    coalesce(draws.drawn, 0) as drawn,
    coalesce(draws.drawn_posted, 0) as drawn_posted,
    credits.granted - coalesce(draws.drawn, 0) - credits.remaining
        as taken_back,
    credits.remaining,
    credits.granted_at at time zone 'UTC' as granted_at,
    credits.expires_at at time zone 'UTC' as expires_at,
from credits
cross join run_days
left join draws
    on
        credits.customer_id = draws.customer_id
        and credits.credit_id = draws.credit_id
order by credits.customer_id, granted_at, credits.credit_id
