-- what:    what was billed on each billing day of a month, tax included
-- grain:   one row per (currency, billing_day)
-- units:   major units; credit notes are below zero
-- from:    invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2
select
    invoices.currency,
    invoices.billing_day,
    sum(invoices.total) as billed,
from invoices
where
    invoices.status = 'posted'
    and invoices.billing_day >= $month
    and invoices.billing_day < $next_month
group by invoices.currency, invoices.billing_day
order by invoices.currency, invoices.billing_day
