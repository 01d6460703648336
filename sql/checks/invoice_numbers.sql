-- what:    sellers and years whose invoice numbers have a gap or a number twice
-- grain:   one row per (seller, year)
-- units:   numbers
-- from:    invoices
-- read by: pipelines/warehouse.py, before a warehouse is published
-- rules:   PST-2
select
    seller,
    year(issued_on) as year,
    min(sequence) as first_number,
    max(sequence) as last_number,
    count(*) as numbers,
from invoices
where status = 'posted'
group by seller, year(issued_on)
having
    count(*) != max(sequence) - min(sequence) + 1
    or count(distinct sequence) != count(*)
    or count(distinct number) != count(*)
order by seller, year
