-- what:    every change of a customer's credits or balance, as far as usage is known
-- grain:   one row per (customer_id, unit, entry)
-- units:   amount and balance_after in credits, or in major units of the currency named
--          in unit; entry_at in UTC
-- from:    ledger_entries
-- read by: analysts
-- rules:   LED-1, LED-2, BAL-5
-- columns:
--   customer_id: whose credits or balance
--   unit: credits, or the ISO 4217 code of a balance
--   entry: number of the entry for the customer and unit, from 1 in order of time
--   entry_type: consumption, purchase, topup, reset or adjustment
--   code: the feature consumed, or the pack bought; null of a reset or a top-up
--   description: what the customer knows it by
--   entry_day: the customer's date of the change, of use that of its day
--   amount: what was added, below zero what was taken
--   balance_after: what was left, of credits the plan's and bought ones together
--   entry_at: the instant; of use, the start of the stretch in which it was drawn
--   amount_exact: the amount without rounding, as a fraction where it needs one
--   balance_after_exact: what was left without rounding
select
    customer_id,
    unit,
    entry,
    entry_type,
    code,
    description,
    entry_day,
    amount,
    balance_after,
    entry_at at time zone 'UTC' as entry_at,
    amount_exact,
    balance_after_exact,
from ledger_entries
order by customer_id, unit, entry
