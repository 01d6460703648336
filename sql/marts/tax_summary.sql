-- what:    what was posted by tax rate: the base, and the tax on it
-- grain:   one row per (month, country, currency, treatment, tax_category, tax_rate_bp)
-- units:   base and tax in major units of the currency, credit notes below zero
-- from:    booked_invoices, booked_invoice_lines, customers
-- read by: analysts
-- rules:   TAX-1, TAX-2, TAX-3, INV-9, INV-13
-- columns:
--   month: first day of the month of the invoices' billing days
--   country: ISO 3166 code of the customer's country as it is now; null where
--       it is not known
--   treatment: taxed, reverse_charge, or out_of_scope where no tax line stands
--   tax_category: what decides on the rate, several of one rate joined by +;
--       null out of scope
--   tax_rate_bp: basis points; null out of scope
--   invoices: how many invoices and credit notes it is on
--   currency: ISO 4217 code of every amount of the row
--   base: what the tax is on, after customer credits; the bases of a month and
--       currency together are the subtotals of their invoices
--   tax: the tax
with

corrected_notes as (
    select
        booked_invoice_lines.invoice_id,
        max(corrected.note) as note,
    from booked_invoice_lines
    inner join booked_invoices as corrected
        on booked_invoice_lines.corrects = corrected.invoice_id
    group by booked_invoice_lines.invoice_id
),

posted as (
    select
        booked_invoices.invoice_id,
        booked_invoices.customer_id,
        booked_invoices.billing_day,
        booked_invoices.currency,
        booked_invoices.subtotal,
        coalesce(booked_invoices.note, corrected_notes.note) is not null
            as is_reverse_charge,
    from booked_invoices
    left join corrected_notes
        on booked_invoices.invoice_id = corrected_notes.invoice_id
),

taxed as (
    select
        posted.invoice_id,
        case
            when
                posted.is_reverse_charge
                and booked_invoice_lines.tax_rate_bp = 0
                then 'reverse_charge'
            else 'taxed'
        end as treatment,
        booked_invoice_lines.tax_category,
        booked_invoice_lines.tax_rate_bp,
        booked_invoice_lines.quantity as base,
        booked_invoice_lines.amount as tax,
    from booked_invoice_lines
    inner join posted on booked_invoice_lines.invoice_id = posted.invoice_id
    where booked_invoice_lines.line_type = 'tax'
),

bases as (
    select
        invoice_id,
        sum(base) as base,
    from taxed
    group by invoice_id
),

untaxed as (
    select
        posted.invoice_id,
        'out_of_scope' as treatment,
        null as tax_category,
        null as tax_rate_bp,
        posted.subtotal - coalesce(bases.base, 0) as base,
        0 as tax,
    from posted
    left join bases on posted.invoice_id = bases.invoice_id
    where
        bases.invoice_id is null
        or posted.subtotal != bases.base
),

parts as (
    select * from taxed
    union all by name
    select * from untaxed
)

select
    cast(date_trunc('month', posted.billing_day) as date) as month,
    customers.country,
    parts.treatment,
    parts.tax_category,
    parts.tax_rate_bp,
    count(distinct posted.invoice_id) as invoices,
    posted.currency,
    cast(sum(parts.base) as decimal(38, 9)) as base,
    cast(sum(parts.tax) as decimal(38, 9)) as tax,
from parts
inner join posted on parts.invoice_id = posted.invoice_id
left join customers on posted.customer_id = customers.customer_id
group by
    date_trunc('month', posted.billing_day),
    customers.country,
    parts.treatment,
    parts.tax_category,
    parts.tax_rate_bp,
    posted.currency
order by
    month,
    customers.country nulls last,
    posted.currency,
    parts.treatment,
    parts.tax_category,
    parts.tax_rate_bp
