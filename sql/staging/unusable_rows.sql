-- what:    landed rows that cannot be counted, with the first reason that holds
-- grain:   one row a landed row that is not usable
-- units:   as landed
-- from:    landed_rows, known_references
-- read by: pipelines/metering.py, which keeps them in the dataset set_aside
-- rules:   USE-1, USE-11, AI-2, AI-3, AI-4, CAT-11
with

landed as (
    select
        row_number,
        source,
        event_id,
        customer_id,
        feature,
        occurred_at,
        value,
        amount,
        model,
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        retracts,
        is_property_missing,
        unreadable,
        is_total_with_cached,
    from landed_rows
),

-- Every way to name a priced model: provider/model, and the bare model id.
models as (
    select
        reference,
        priced_from,
        is_ambiguous,
    from known_references
),

checked as (
    select
        landed.row_number,
        landed.source,
        landed.event_id,
        landed.customer_id,
        landed.feature,
        landed.occurred_at,
        landed.model,
        case
            when landed.unreadable is not null
                then 'unreadable_' || landed.unreadable
            when landed.event_id is null or landed.event_id = ''
                then 'missing_event_id'
            when landed.retracts is not null then null
            when landed.customer_id is null then 'missing_customer'
            when landed.feature is null then 'missing_feature'
            when landed.occurred_at is null then 'missing_occurred_at'
            when landed.value is null then 'missing_value'
            when
                abs(landed.value) >= 1000000000000000000
                or abs(landed.amount) >= 1000000000000000000
                then 'value_out_of_range'
            when
                landed.input_tokens < 0
                and landed.is_total_with_cached
                then 'cached_above_total'
            when
                landed.input_tokens < 0
                or landed.output_tokens < 0
                or landed.cache_read_tokens < 0
                or landed.cache_write_tokens < 0
                then 'negative_tokens'
            when
                landed.input_tokens > 1000000000000
                or landed.output_tokens > 1000000000000
                or landed.cache_read_tokens > 1000000000000
                or landed.cache_write_tokens > 1000000000000
                then 'tokens_out_of_range'
            when
                landed.model is null
                and (
                    landed.input_tokens is not null
                    or landed.output_tokens is not null
                )
                then 'missing_tokens'
            when landed.is_property_missing then 'missing_property'
            when landed.model is null then null
            when landed.input_tokens is null or landed.output_tokens is null
                then 'missing_tokens'
            when models.is_ambiguous then 'ambiguous_model'
            when models.priced_from <= landed.occurred_at then null
            else 'unknown_model'
        end as reason,
    from landed
    left join models on landed.model = models.reference
)

select
    row_number,
    reason,
    source,
    event_id,
    customer_id,
    feature,
    model,
    occurred_at,
from checked
where reason is not null
order by row_number
