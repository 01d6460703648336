-- what:    what was used on a day, as one landing day adds it to what is known
-- grain:   landing_day, counts_from, event_day, customer_id (as on the event),
--          feature, dimension_1, dimension_2, model, price_id, is_negative
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    keyed_values and keyed_tokens, what the day counts, by the number of
--          its key; reversed_values and reversed_tokens, what it takes back;
--          event_keys, what the numbers stand for, in order; usage_costs
-- read by: snapshots, marts, checks
-- rules:   USE-1, USE-3, USE-6, USE-8, USE-9, CAT-11, AI-1
with

names as (
    select
        event_key,
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
    from event_keys
),

counted as (
    select
        event_key,
        count(*) as events,
        sum(value) as value,
        coalesce(sum(amount), 0) as amount,
    from keyed_values
    where event_key >= 0
    group by event_key
),

taken_back as (
    select
        event_key,
        -count(*) as events,
        -sum(value) as value,
        -coalesce(sum(amount), 0) as amount,
    from reversed_values
    where event_key >= 0
    group by event_key
),

changes as (
    select
        event_key,
        events,
        value,
        amount,
    from counted
    union all
    select
        event_key,
        events,
        value,
        amount,
    from taken_back
),

sums as (
    select
        event_key,
        sum(events)::bigint as events,
        sum(value)::decimal(38, 9) as value,
        sum(amount)::decimal(38, 9) as amount,
    from changes
    group by event_key
),

tokens_counted as (
    select
        event_key,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
    from keyed_tokens
    where event_key >= 0
    group by event_key
),

tokens_taken_back as (
    select
        event_key,
        -sum(input_tokens) as input_tokens,
        -sum(output_tokens) as output_tokens,
        -sum(cache_read_tokens) as cache_read_tokens,
        -sum(cache_write_tokens) as cache_write_tokens,
    from reversed_tokens
    where event_key >= 0
    group by event_key
),

token_changes as (
    select
        event_key,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from tokens_counted
    union all
    select
        event_key,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from tokens_taken_back
),

tokens as (
    select
        event_key,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens,
    from token_changes
    group by event_key
),

costs as (
    select
        event_key,
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from usage_costs
)

select
    names.landing_day,
    names.counts_from,
    names.event_day,
    names.customer_id,
    names.feature,
    names.dimension_1,
    names.dimension_2,
    names.model,
    names.price_id,
    names.is_negative,
    sums.events,
    sums.value,
    sums.amount,
    coalesce(tokens.input_tokens, 0) as input_tokens,
    coalesce(tokens.output_tokens, 0) as output_tokens,
    coalesce(tokens.cache_read_tokens, 0) as cache_read_tokens,
    coalesce(tokens.cache_write_tokens, 0) as cache_write_tokens,
    coalesce(costs.input_units, 0) as input_units,
    coalesce(costs.output_units, 0) as output_units,
    coalesce(costs.cache_read_units, 0) as cache_read_units,
    coalesce(costs.cache_write_units, 0) as cache_write_units,
from sums
inner join names on sums.event_key = names.event_key
left join tokens on sums.event_key = tokens.event_key
left join costs on sums.event_key = costs.event_key
order by sums.event_key
