with parsed as (
    select
        *,
        {{ numbers('life_span') }} as years,
        {{ numbers('weight_class_kg') }} as kilograms,
        {{ numbers('weight_class_lb') }} as pounds
    from {{ ref('breeds_parsed') }}
),

weighed as (
    select
        *,
        case
            when array_length(kilograms) > 0 then 'metric'
            when array_length(pounds) > 0 then 'imperial'
        end as weight_source,
        if(array_length(kilograms) > 0, kilograms, pounds) as weights,
        if(array_length(kilograms) > 0, weight_class_kg, weight_class_lb) as weight_text,
        if(array_length(kilograms) > 0, 1.0, 0.45359237) as kilograms_each
    from parsed
)

select
    row_id,
    breed_id,
    name,
    breed_group,
    temperament,
    life_span,
    {{ lower_end('life_span', 'years') }} as life_span_min_years,
    {{ upper_end('years') }} as life_span_max_years,
    weight_class_kg,
    round({{ lower_end('weight_text', 'weights') }} * kilograms_each, 1) as weight_min_kg,
    round({{ upper_end('weights') }} * kilograms_each, 1) as weight_max_kg,
    weight_source,
    origin,
    ingested_at,
    breed_json
from weighed
