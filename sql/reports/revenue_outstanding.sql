-- what:    open balances of posted invoices by age, up to a month, and of those
--          that customers brought along from another system
-- grain:   one row per (currency, age)
-- units:   major units; age 0 not yet due, 1 to 30 days past due, 2 to 60,
--          3 to 90, 4 over 90
-- from:    invoices, opening_invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2, PAY-2
with

unpaid_invoices as (
    select
        currency,
        customer_id,
        unpaid,
        due_on,
    from invoices
    where
        status = 'posted'
        and unpaid > 0
        and billing_day < $next_month
    union all
    select
        currency,
        customer_id,
        unpaid,
        due_on,
    from opening_invoices
    where unpaid > 0
),

open_invoices as (
    select
        currency,
        customer_id,
        unpaid,
        case
            when due_on >= $as_of then 0
            when due_on >= $as_of - 30 then 1
            when due_on >= $as_of - 60 then 2
            when due_on >= $as_of - 90 then 3
            else 4
        end as age,
    from unpaid_invoices
)

select
    open_invoices.currency,
    open_invoices.age,
    count(distinct open_invoices.customer_id) as customers,
    count(*) as invoices,
    sum(open_invoices.unpaid) as amount,
from open_invoices
group by open_invoices.currency, open_invoices.age
order by open_invoices.currency, open_invoices.age
