-- what:    what each customer was billed in a month, tax included
-- grain:   one row per (currency, customer_id)
-- units:   major units
-- from:    invoices
-- read by: pipelines/revenue.py
-- rules:   CUR-2
select
    invoices.currency,
    invoices.customer_id,
    arg_max(invoices.plan_name, invoices.made_at) as plan_name,
    count(*) as invoices,
    sum(invoices.total) as amount,
from invoices
where
    invoices.status = 'posted'
    and invoices.billing_day >= $month
    and invoices.billing_day < $next_month
group by invoices.currency, invoices.customer_id
order by invoices.currency asc, amount desc, invoices.customer_id asc
