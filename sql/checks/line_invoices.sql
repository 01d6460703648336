-- what:    lines, details and used features whose invoice is not there
-- grain:   one row per (relation, invoice_id)
-- units:   rows
-- from:    invoices, invoice_lines, invoice_line_details, invoice_usage
-- read by: pipelines/warehouse.py, before a warehouse is published
-- rules:   INV-3
with

parts as (
    select
        'invoice_lines' as relation,
        invoice_id,
    from invoice_lines
    union all
    select
        'invoice_line_details' as relation,
        invoice_id,
    from invoice_line_details
    union all
    select
        'invoice_usage' as relation,
        invoice_id,
    from invoice_usage
)

select
    parts.relation,
    parts.invoice_id,
    count(*) as part_rows,
from parts
anti join invoices on parts.invoice_id = invoices.invoice_id
group by parts.relation, parts.invoice_id
order by parts.relation, parts.invoice_id
