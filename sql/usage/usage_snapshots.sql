-- what:    usage of one customer, feature and window, as known at a cutoff
-- grain:   customer_id, feature, start_at, end_at, cutoff_on
-- units:   event units, of AI features all tokens; amount in major units
-- from:    windowed_usage, windowed_states, windows
-- read by: the billing core, marts
-- rules:   USE-3, USE-4, USE-8, CAT-11, AI-6
with

parts as (
    select
        window_id,
        feature,
        is_ai,
        aggregation,
        events,
        value,
        amount,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from windowed_usage
),

states as (
    select
        window_id,
        feature,
        quantity,
    from windowed_states
),

asked as (
    select
        window_id,
        customer_id,
        start_at,
        end_at,
        cutoff_on,
    from windows
),

sums as (
    select
        window_id,
        feature,
        is_ai,
        aggregation,
        sum(events) as events,
        sum(value) as value,
        sum(amount) as amount,
        sum(
            input_tokens
            + output_tokens
            + cache_read_tokens
            + cache_write_tokens
        ) as tokens,
    from parts
    group by window_id, feature, is_ai, aggregation
    having sum(events) <> 0
)

select
    asked.customer_id,
    sums.feature,
    asked.start_at,
    asked.end_at,
    asked.cutoff_on,
    sums.events::bigint as events,
    case
        when sums.is_ai then sums.tokens::decimal(38, 9)
        when sums.aggregation = 'count' then sums.events::decimal(38, 9)
        when sums.aggregation in ('sum', 'level')
            then sums.value::decimal(38, 9)
        else coalesce(states.quantity, 0)::decimal(38, 9)
    end as quantity,
    sums.amount::decimal(38, 9) as amount,
from sums
inner join asked on sums.window_id = asked.window_id
left join states
    on
        sums.window_id = states.window_id
        and sums.feature = states.feature
order by
    asked.customer_id,
    sums.feature,
    asked.start_at,
    asked.end_at,
    asked.cutoff_on
