-- what:    what each plan brought in a month, before tax
-- grain:   one row per (currency, name)
-- units:   major units
-- from:    invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2
select
    invoices.currency,
    invoices.plan_name as name,
    count(*) as invoices,
    sum(invoices.subtotal) as amount,
from invoices
where
    invoices.status = 'posted'
    and invoices.billing_day >= $month
    and invoices.billing_day < $next_month
group by invoices.currency, invoices.plan_name
order by invoices.currency asc, amount desc, name asc
