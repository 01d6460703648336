-- what:    the customers that billing knows, without any personal data
-- grain:   one row per (customer_id)
-- units:   payment_days in days
-- from:    customers
-- read by: analysts, the revenue report
-- rules:   CUS-1, TAX-3, PAY-1
-- columns:
--   customer_id: who pays
--   country: ISO 3166 code; null where it is not known
--   time_zone: IANA name of the customer's own; null for the catalog's
--   is_tax_id_valid: whether the tax id is valid by format and check digits
--   is_taxed: false where no tax line is ever made
--   collection: automatic or on_terms; null for the catalog's
--   payment_days: days to pay after the issue date, on terms; null for the
--       catalog's
select
    customer_id,
    country,
    time_zone,
    is_tax_id_valid,
    is_taxed,
    collection,
    payment_days,
from customers
order by customer_id
