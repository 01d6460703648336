-- what:    what was used on each day, as each landing day added it to what is
--          known; duplicates are out, events are not yet matched to a plan
-- grain:   one row per (landing_day, counts_from, event_day, customer_id,
--          feature, dimension_1, dimension_2, model, price_id, is_negative)
-- units:   value in event units; whole tokens; *_units are token costs in rate
--          units of 0.0001, each event rounded up; amount in major units
-- from:    usage_daily
-- read by: analysts
-- rules:   USE-1, USE-3, USE-6, USE-8, USE-9, CAT-11, AI-1
-- columns:
--   landing_day: UTC date on which a run first saw the file
--   counts_from: landing day from which it counts: later for future events
--   event_day: UTC date of the events
--   customer_id: as it stands on the event, before it is matched
--   feature: code of the feature
--   dimension_1: value of the feature's first dimension
--   dimension_2: value of the feature's second dimension
--   model: AI model, of features without models null
--   price_id: price of the model that was in force, of ai_prices.csv
--   is_negative: whether the values are below zero
--   events: number of events counted
--   value: sum of their values
--   amount: sum of the events' own amounts
--   input_tokens: sum of input tokens that were not read from a cache
--   output_tokens: sum of output tokens
--   cache_read_tokens: sum of tokens read from a cache
--   cache_write_tokens: sum of tokens written to a cache
--   input_units: cost of the input tokens
--   output_units: cost of the output tokens
--   cache_read_units: cost of the tokens read from a cache
--   cache_write_units: cost of the tokens written to a cache
select
    landing_day,
    counts_from,
    event_day,
    customer_id,
    feature,
    dimension_1,
    dimension_2,
    model,
    price_id,
    is_negative,
    events,
    value,
    amount,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_write_tokens,
    input_units,
    output_units,
    cache_read_units,
    cache_write_units,
from usage_daily
