-- what:    documents of posted invoices that are ready to be sent
-- grain:   one row per (invoice_id, sha256)
-- units:   none
-- from:    outbox
-- read by: a mailer, analysts
-- rules:   PST-2
-- columns:
--   invoice_id: the invoice
--   number: the number on the page
--   customer_id: the recipient
--   file: path of the document, relative to the data root
--   sha256: hash of the document's bytes
--   locale: the recipient's language and country
select
    invoice_id,
    number,
    customer_id,
    file,
    sha256,
    locale,
from outbox
order by invoice_id, sha256
