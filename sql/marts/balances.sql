-- what:    what is left of each customer's credits or balance, as far as usage is known
-- grain:   one row per (customer_id, unit)
-- units:   credits, or major units of the currency named in unit
-- from:    ledger_balances
-- read by: analysts
-- rules:   LED-1
-- columns:
--   customer_id: whose credits or balance
--   unit: credits, or the ISO 4217 code of a balance
--   entries: how many entries the ledger has
--   bought: packs and top-ups since the first day, together
--   consumed: what use has drawn since the first day
--   balance: what is left after the last entry; below zero a deficit not charged yet
--   balance_exact: the same without rounding, as a fraction where it needs one
select
    customer_id,
    unit,
    entries,
    bought,
    consumed,
    balance,
    balance_exact,
from ledger_balances
order by customer_id, unit
