-- what:    what was used on a day, as one landing day adds it to what is known
-- grain:   landing_day, counts_from, event_day, customer_id (as on the event), feature,
--          dimension_1, dimension_2, model, price_id, is_negative
-- units:   event units; whole tokens; token costs in rate units (0.0001)
-- from:    counted_events, steady_prices, usage_costs
-- read by: snapshots, marts, checks
-- rules:   USE-1, USE-3, USE-6, USE-8, USE-9, CAT-11, AI-1
with

events as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        varying_price_id,
        is_negative,
        events,
        value,
        amount,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
    from counted_events
),

steady as (
    select
        model,
        price_id,
    from steady_prices
),

costs as (
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
        input_units,
        output_units,
        cache_read_units,
        cache_write_units,
    from usage_costs
),

sums as (
    select
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        varying_price_id,
        is_negative,
        sum(events)::bigint as events,
        sum(value)::decimal(38, 9) as value,
        coalesce(sum(amount), 0)::decimal(38, 9) as amount,
        coalesce(sum(input_tokens), 0)::bigint as input_tokens,
        coalesce(sum(output_tokens), 0)::bigint as output_tokens,
        coalesce(sum(cache_read_tokens), 0)::bigint as cache_read_tokens,
        coalesce(sum(cache_write_tokens), 0)::bigint as cache_write_tokens,
    from events
    group by
        landing_day,
        counts_from,
        event_day,
        customer_id,
        feature,
        dimension_1,
        dimension_2,
        model,
        varying_price_id,
        is_negative
),

priced as (
    select
        sums.landing_day,
        sums.counts_from,
        sums.event_day,
        sums.customer_id,
        sums.feature,
        sums.dimension_1,
        sums.dimension_2,
        sums.model,
        sums.is_negative,
        coalesce(sums.varying_price_id, steady.price_id) as price_id,
        sums.events,
        sums.value,
        sums.amount,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_read_tokens,
        sums.cache_write_tokens,
    from sums
    left join steady on sums.model = steady.model
)

select
    priced.landing_day,
    priced.counts_from,
    priced.event_day,
    priced.customer_id,
    priced.feature,
    priced.dimension_1,
    priced.dimension_2,
    priced.model,
    priced.price_id,
    priced.is_negative,
    priced.events,
    priced.value,
    priced.amount,
    priced.input_tokens,
    priced.output_tokens,
    priced.cache_read_tokens,
    priced.cache_write_tokens,
    coalesce(costs.input_units, 0) as input_units,
    coalesce(costs.output_units, 0) as output_units,
    coalesce(costs.cache_read_units, 0) as cache_read_units,
    coalesce(costs.cache_write_units, 0) as cache_write_units,
from priced
left join costs
    on
        priced.landing_day = costs.landing_day
        and priced.counts_from = costs.counts_from
        and priced.event_day = costs.event_day
        and priced.customer_id = costs.customer_id
        and priced.feature = costs.feature
        and priced.dimension_1 is not distinct from costs.dimension_1
        and priced.dimension_2 is not distinct from costs.dimension_2
        and priced.model = costs.model
        and priced.price_id = costs.price_id
        and priced.is_negative = costs.is_negative
order by
    priced.landing_day,
    priced.counts_from,
    priced.event_day,
    priced.customer_id,
    priced.feature,
    priced.dimension_1 nulls first,
    priced.dimension_2 nulls first,
    priced.model nulls first,
    priced.price_id nulls first,
    priced.is_negative
