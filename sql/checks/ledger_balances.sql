-- what:    balances that are not what the last entry of the ledger left
-- grain:   one row per (customer_id, unit)
-- units:   credits, or major units of a currency
-- from:    ledger, balances
-- read by: pipelines/warehouse.py, before a warehouse is published
-- rules:   LED-1
with

closing as (
    select
        customer_id,
        unit,
        count(*) as entries,
        max_by(balance_after_exact, entry) as balance_exact,
    from ledger
    group by customer_id, unit
)

select
    coalesce(balances.customer_id, closing.customer_id) as customer_id,
    coalesce(balances.unit, closing.unit) as unit,
    balances.balance_exact as stated,
    closing.balance_exact as closing,
from balances
full outer join closing
    on
        balances.customer_id = closing.customer_id
        and balances.unit = closing.unit
where
    balances.balance_exact is distinct from closing.balance_exact
    or balances.entries is distinct from closing.entries
order by customer_id, unit
