-- what:    landed files whose rows did not all end in exactly one place
-- grain:   one row per (landing_day, path)
-- units:   rows
-- from:    usage_receipts
-- read by: pipelines/staged_checks.py, after metering
-- rules:   USE-6
select
    usage_receipts.landing_day,
    usage_receipts.path,
    usage_receipts.rows,
    usage_receipts.filtered
    + usage_receipts.counted
    + usage_receipts.duplicates
    + usage_receipts.conflicts
    + usage_receipts.set_aside
    + usage_receipts.retracted
    + usage_receipts.retractions as rows_accounted_for,
from usage_receipts
where
    usage_receipts.rows
    != usage_receipts.filtered
    + usage_receipts.counted
    + usage_receipts.duplicates
    + usage_receipts.conflicts
    + usage_receipts.set_aside
    + usage_receipts.retracted
    + usage_receipts.retractions
order by usage_receipts.landing_day, usage_receipts.path
