-- what:    the price in force for each use of a model that has several
-- grain:   one row a use, by its place among the rows of a file
-- units:   none
-- from:    varying_uses, model_prices
-- read by: pipelines/counting.py
-- rules:   AI-2
with

uses as (
    select
        place,
        model,
        occurred_at,
        input_tokens + cache_read_tokens + cache_write_tokens as tokens,
    from varying_uses
),

prices as (
    select
        reference,
        price_id,
        valid_from,
        valid_to,
        tokens_above,
        tokens_up_to,
    from model_prices
)

select
    uses.place,
    prices.price_id,
from uses
inner join prices
    on
        uses.model = prices.reference
        and uses.occurred_at >= prices.valid_from
        and uses.occurred_at < prices.valid_to
        and uses.tokens > prices.tokens_above
        and uses.tokens <= prices.tokens_up_to
order by uses.place
