-- what:    what the posted invoices of a month come to
-- grain:   one row per (currency)
-- units:   major units; credit notes are below zero
-- from:    invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2, PAY-2
select
    invoices.currency,
    any_value(invoices.minor_digits) as minor_digits,
    count(*) as invoices,
    count(distinct invoices.customer_id) as customers,
    sum(invoices.total) as billed,
    sum(invoices.tax) as tax,
    sum(coalesce(invoices.paid, 0)) as collected,
from invoices
where
    invoices.status = 'posted'
    and invoices.billing_day >= $month
    and invoices.billing_day < $next_month
group by invoices.currency
order by invoices.currency
