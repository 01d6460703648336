-- what:    the cost of each use of a model, its tokens rounded up class by class
-- grain:   one row a use (events = 1), or one that a retraction takes back (-1);
--          none where token costs are exact
-- units:   rate units (0.0001)
-- from:    keyed_tokens, reversed_tokens, event_keys, model_prices
-- read by: usage_costs, usage_margins
-- rules:   AI-1, AI-7
with

names as (
    select
        event_key,
        model,
        price_id,
    from event_keys
    where price_id is not null
),

prices as (
    select
        reference,
        price_id,
        input_price::hugeint as input_price,
        output_price::hugeint as output_price,
        cache_read_price::hugeint as cache_read_price,
        cache_write_price::hugeint as cache_write_price,
    from model_prices
    where
        is_per_event
        and reference = model
),

tokens as (
    select
        event_key,
        1 as events,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from keyed_tokens
    where event_key >= 0
    union all
    select
        event_key,
        -1 as events,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from reversed_tokens
    where event_key >= 0
)

select
    tokens.event_key,
    tokens.events,
    (tokens.input_tokens * prices.input_price + 99999999999999)
    // 100000000000000 as input_units,
    (tokens.output_tokens * prices.output_price + 99999999999999)
    // 100000000000000 as output_units,
    (tokens.cache_read_tokens * prices.cache_read_price + 99999999999999)
    // 100000000000000 as cache_read_units,
    (tokens.cache_write_tokens * prices.cache_write_price + 99999999999999)
    // 100000000000000 as cache_write_units,
from tokens
inner join names on tokens.event_key = names.event_key
inner join prices on names.price_id = prices.price_id
