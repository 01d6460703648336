-- what:    the AI tokens of usage snapshots, by model and price
-- grain:   one row per (customer_id, feature, start_at, end_at, cutoff_on,
--          model, price_id)
-- units:   whole tokens; *_units are costs in rate units of 0.0001, each event
--          rounded up; *_price in major units a million tokens
-- from:    usage_snapshot_tokens
-- read by: analysts, the revenue report
-- rules:   AI-1, AI-2
-- columns:
--   customer_id: who used it
--   feature: code of the feature
--   cutoff_on: last landing day that is counted
--   model: AI model
--   price_id: price of the model that was in force, of ai_prices.csv
--   input_tokens: sum of input tokens that were not read from a cache
--   output_tokens: sum of output tokens
--   cache_read_tokens: sum of tokens read from a cache
--   cache_write_tokens: sum of tokens written to a cache
--   input_units: cost of the input tokens
--   output_units: cost of the output tokens
--   cache_read_units: cost of the tokens read from a cache
--   cache_write_units: cost of the tokens written to a cache
--   input_price: price of the input tokens
--   output_price: price of the output tokens
--   cache_read_price: price of the tokens read from a cache
--   cache_write_price: price of the tokens written to a cache
--   start_at: first instant of the window
--   end_at: the instant at which the window ends, not in it
select
    customer_id,
    feature,
    cutoff_on,
    model,
    price_id,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    input_units,
    output_units,
    cache_read_units,
    cache_write_units,
    input_price,
    output_price,
    cache_read_price,
    cache_write_price,
    start_at at time zone 'UTC' as start_at,
    end_at at time zone 'UTC' as end_at,
from usage_snapshot_tokens
