-- what:    what is to be collected of each invoice above 0, and how far that is
-- grain:   one row per (charge_record_id)
-- units:   *_minor in whole minor units of the currency (cents), the same
--          amounts without _minor in major units; instants in UTC
-- from:    charge_records, charge_attempts, booked_invoices
-- read by: analysts
-- rules:   PAY-0, PAY-1, PAY-3
-- columns:
--   charge_record_id: the invoice's id, from its first draft on; payments name it
--   customer_id: who pays
--   number: the invoice's number; null where it is not posted
--   status: posted or draft
--   kind: the invoice's type, of packs the pack's kind
--   collection: automatic or on_terms
--   attempts: attempts with a result so far; none are made on terms
--   failed_attempts: how many of them failed
--   is_silent: whether the next attempt is due for 24 hours without result
--   currency: ISO 4217 code of every amount of the row
--   amount_minor: the invoice's total
--   unpaid_minor: still to be collected of it
--   amount: the invoice's total
--   unpaid: still to be collected of it
--   due_on: last day to pay; null of drafts on terms
--   handed_out_on: day on which the payment provider gets it, if it is unpaid
--       then; null where it is not handed out yet
--   next_attempt_at: when the next attempt is due; null where there is none
with

attempts as (
    select
        charge_record_id,
        count(result) as attempts,
        count(*) filter (where result = 'failed') as failed_attempts,
        bool_or(is_silent) as is_silent,
        max(due_at) filter (where result is null) as next_attempt_at,
    from charge_attempts
    group by charge_record_id
)

select
    charge_records.charge_record_id,
    charge_records.customer_id,
    booked_invoices.number,
    case
        when booked_invoices.number is null then 'draft' else 'posted'
    end as status,
    charge_records.kind,
    charge_records.collection,
    coalesce(attempts.attempts, 0) as attempts,
    coalesce(attempts.failed_attempts, 0) as failed_attempts,
    coalesce(attempts.is_silent, false) as is_silent,
    charge_records.currency,
    charge_records.amount_minor,
    charge_records.unpaid_minor,
    charge_records.amount,
    charge_records.unpaid,
    coalesce(booked_invoices.due_on, charge_records.due_on) as due_on,
    coalesce(booked_invoices.issued_on, charge_records.handed_out_on)
        as handed_out_on,
    attempts.next_attempt_at at time zone 'UTC' as next_attempt_at,
from charge_records
left join attempts
    on charge_records.charge_record_id = attempts.charge_record_id
left join booked_invoices
    on charge_records.charge_record_id = booked_invoices.invoice_id
order by charge_records.charge_record_id
