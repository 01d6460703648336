-- what:    what each feature, or kind of charge, brought in a month, before tax
-- grain:   one row per (currency, name)
-- units:   major units
-- from:    invoices, invoice_lines
-- read by: pipelines/revenue.py
-- rules:   CUR-2, INV-3
with

lines as (
    select
        invoice_lines.invoice_id,
        invoice_lines.currency,
        invoice_lines.amount,
        case invoice_lines.line_type
            when 'plan_base' then 'Plans'
            when 'discount' then 'Discounts'
            when 'credit' then 'Credits'
            when 'adjustment' then 'Adjustments'
            else invoice_lines.name
        end as name,
    from invoice_lines
    inner join invoices on invoice_lines.invoice_id = invoices.invoice_id
    where
        invoices.status = 'posted'
        and invoice_lines.line_type != 'tax'
        and invoices.billing_day >= $month
        and invoices.billing_day < $next_month
)

select
    lines.currency,
    lines.name,
    count(distinct lines.invoice_id) as invoices,
    sum(lines.amount) as amount,
from lines
group by lines.currency, lines.name
order by lines.currency asc, amount desc, lines.name asc
