-- what:    the add-ons that are active, and those that were in the running period
-- grain:   one row per (customer_id, addon)
-- units:   price in major units of the currency, for one period of the plan
-- from:    addons
-- read by: analysts
-- rules:   ADD-1, ADD-2, ADD-6
-- columns:
--   customer_id: who has it
--   subscription_id: the subscription that it belongs to
--   addon: code of the add-on
--   addon_name: what the customer knows it by
--   feature: code of the feature that it brings
--   currency: ISO 4217 code
--   price: price of one period of the plan, before tax
--   is_active: whether the feature can be used now, or after a pause
--   is_paid: whether the running period was charged
select
    customer_id,
    subscription_id,
    addon,
    addon_name,
    feature,
    currency,
    price,
    is_active,
    is_paid,
from addons
order by customer_id, addon
