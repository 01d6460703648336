-- what:    features whose counted quantity is not the quantity in windows plus what is set
--          aside for want of customer, feature, plan or access
-- grain:   feature
-- units:   events; event units, of AI events all tokens
-- from:    usage_daily, usage_reasons, as_of
-- read by: the blocking check on usage
-- rules:   USE-6
with

counted as (
    select
        feature,
        sum(events) as events,
        sum(
            case
                when model is null then value
                else
                    (
                        input_tokens
                        + output_tokens
                        + cache_read_tokens
                        + cache_write_tokens
                    )::decimal(38, 9)
            end
        ) as quantity,
    from usage_daily
    where landing_day <= (select through from as_of)
    group by feature
),

explained as (
    select
        feature,
        sum(events) as events,
        sum(quantity) as quantity,
    from usage_reasons
    group by feature
)

select
    coalesce(counted.feature, explained.feature) as feature,
    counted.events::bigint as events_counted,
    explained.events::bigint as events_explained,
    counted.quantity as quantity_counted,
    explained.quantity as quantity_explained,
from counted
full outer join explained on counted.feature = explained.feature
where
    counted.events is distinct from explained.events
    or counted.quantity is distinct from explained.quantity
order by feature
