-- what:    what each customer owes, by how long it is past due on the last day run
-- grain:   one row per (customer_id, currency)
-- units:   major units of the currency
-- from:    invoice_balances, booked_invoices, opening_invoices, run_days
-- read by: analysts
-- rules:   PAY-2, CUR-2, CUS-2
-- columns:
--   customer_id: who owes it
--   as_of: the last day that was run
--   currency: ISO 4217 code of every amount of the row
--   not_due: unpaid of posted invoices whose last day to pay has not passed
--   days_1_to_30: unpaid, 1 to 30 days past due
--   days_31_to_60: unpaid, 31 to 60 days past due
--   days_61_to_90: unpaid, 61 to 90 days past due
--   days_over_90: unpaid, more than 90 days past due
--   uncollectible: what of these its dunning could not collect; it stays owed
--       until it is written off
--   paid_ahead: what was paid too much, which later invoices draw on, or for
--       what is not posted yet
--   outstanding: all that is unpaid less what was paid ahead
with

balances as (
    select
        invoice_balances.customer_id,
        invoice_balances.currency,
        greatest(invoice_balances.unpaid, 0) as unpaid,
        greatest(-invoice_balances.unpaid, 0) as paid_ahead,
        invoice_balances.is_uncollectible,
        booked_invoices.due_on,
    from invoice_balances
    inner join booked_invoices
        on invoice_balances.invoice_id = booked_invoices.invoice_id
    union all by name
    select
        customer_id,
        currency,
        0 as unpaid,
        paid - refunded as paid_ahead,
        false as is_uncollectible,
        null as due_on,
    from invoice_balances
    where
        invoice_id not in (select invoice_id from booked_invoices)
        and paid != refunded
    union all by name
    select
        customer_id,
        currency,
        greatest(unpaid, 0) as unpaid,
        greatest(-unpaid, 0) as paid_ahead,
        false as is_uncollectible,
        due_on,
    from opening_invoices
),

aged as (
    select
        balances.customer_id,
        run_days.as_of,
        balances.currency,
        balances.unpaid,
        balances.paid_ahead,
        case when balances.is_uncollectible then balances.unpaid else 0 end
            as uncollectible,
        run_days.as_of - balances.due_on as days_past_due,
    from balances
    cross join run_days
),

summed as (
    select
        customer_id,
        as_of,
        currency,
        sum(unpaid) filter (where days_past_due <= 0) as not_due,
        sum(unpaid) filter (where days_past_due between 1 and 30)
            as days_1_to_30,
        sum(unpaid) filter (where days_past_due between 31 and 60)
            as days_31_to_60,
        sum(unpaid) filter (where days_past_due between 61 and 90)
            as days_61_to_90,
        sum(unpaid) filter (where days_past_due > 90) as days_over_90,
        sum(uncollectible) as uncollectible,
        sum(paid_ahead) as paid_ahead,
        sum(unpaid) - sum(paid_ahead) as outstanding,
    from aged
    group by customer_id, as_of, currency
)

select
    customer_id,
    as_of,
    currency,
    coalesce(not_due, 0) as not_due,
    coalesce(days_1_to_30, 0) as days_1_to_30,
    coalesce(days_31_to_60, 0) as days_31_to_60,
    coalesce(days_61_to_90, 0) as days_61_to_90,
    coalesce(days_over_90, 0) as days_over_90,
    uncollectible,
    paid_ahead,
    outstanding,
from summed
order by customer_id, currency
