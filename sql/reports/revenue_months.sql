-- what:    billed and collected by month, the last twelve up to this one
-- grain:   one row per (currency, month)
-- units:   major units, tax included
-- from:    invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2, PAY-2
select
    invoices.currency,
    cast(date_trunc('month', invoices.billing_day) as date) as month,
    sum(invoices.total) as billed,
    sum(coalesce(invoices.paid, 0)) as collected,
from invoices
where
    invoices.status = 'posted'
    and invoices.billing_day < $next_month
    and invoices.billing_day >= $next_month - interval 12 months
group by invoices.currency, date_trunc('month', invoices.billing_day)
order by invoices.currency, month
