-- what:    how much of each feature the windows used that a month closed
-- grain:   one row per (name, unit)
-- units:   priced units of the feature
-- from:    invoices, invoice_usage
-- read by: pipelines/revenue.py
-- rules:   USE-6
select
    invoice_usage.name,
    invoice_usage.unit,
    sum(invoice_usage.used) as quantity,
    count(distinct invoices.customer_id) as customers,
from invoice_usage
inner join invoices on invoice_usage.invoice_id = invoices.invoice_id
where
    invoices.status = 'posted'
    and invoice_usage.used > 0
    and invoices.billing_day >= $month
    and invoices.billing_day < $next_month
group by invoice_usage.name, invoice_usage.unit
order by customers desc, invoice_usage.name asc, invoice_usage.unit asc
