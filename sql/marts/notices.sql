-- what:    what each customer was told, for example of what he has above a plan asked for
-- grain:   one row per (customer_id, notice)
-- units:   used_quantity and limit_quantity in priced units of the feature, cost in major
--          units of the currency; notice_at in UTC
-- from:    notices
-- read by: analysts
-- rules:   CHG-8, QTA-5, PAY-1
-- columns:
--   customer_id: who was told
--   notice: number of the notice for the customer, from 1 in order of time
--   notice_id: the same in every run; under it a mailer gets the notice once
--   kind: what it is about, for example downgrade_warning or past_due
--   feature: code of the feature that it is about; null if about none
--   invoice_id: the invoice that it is about; null if about none
--   notice_day: the customer's date of the instant
--   used_quantity: how much of the feature was held or used
--   limit_quantity: how much is included
--   cost: what the rest is estimated to cost in one period
--   currency: ISO 4217 code of the cost
--   notice_at: when it was raised
select
    customer_id,
    notice,
    notice_id,
    kind,
    feature,
    invoice_id,
    notice_day,
    used_quantity,
    limit_quantity,
    cost,
    currency,
    notice_at at time zone 'UTC' as notice_at,
from notices
order by customer_id, notice
