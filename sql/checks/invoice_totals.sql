-- what:    invoices whose lines do not add up to their subtotal, tax and total
-- grain:   one row per (invoice_id)
-- units:   whole minor units
-- from:    invoices, invoice_lines
-- read by: pipelines/warehouse.py, before a warehouse is published
-- rules:   INV-9
with

summed as (
    select
        invoice_id,
        count(*) as lines,
        sum(amount_minor) filter (line_type != 'tax') as subtotal_minor,
        sum(amount_minor) filter (line_type = 'tax') as tax_minor,
    from invoice_lines
    group by invoice_id
)

select
    invoices.invoice_id,
    invoices.number,
    invoices.subtotal_minor,
    invoices.tax_minor,
    invoices.total_minor,
    summed.subtotal_minor as lines_subtotal_minor,
    summed.tax_minor as lines_tax_minor,
from invoices
left join summed on invoices.invoice_id = summed.invoice_id
where
    invoices.lines != coalesce(summed.lines, 0)
    or invoices.subtotal_minor != coalesce(summed.subtotal_minor, 0)
    or invoices.tax_minor != coalesce(summed.tax_minor, 0)
    or invoices.total_minor != invoices.subtotal_minor + invoices.tax_minor
    or invoices.total != invoices.subtotal + invoices.tax
    or (invoices.total_minor < 0 and invoices.invoice_type != 'credit_note')
order by invoices.invoice_id
