{{ config(materialized='view') }}
with raw as (
    select row_id, breed_json, updated_at from {{ source('raw', 'dog_breeds_resource') }}
)

select
    row_id,
    safe_cast(json_value(breed_json, '$.id') as int64) as breed_id,
    {{ cleaned("json_value(breed_json, '$.name')") }} as name,
    {{ cleaned("json_value(breed_json, '$.breed_group')") }} as breed_group,
    {{ cleaned("json_value(breed_json, '$.temperament')") }} as temperament,
    {{ cleaned("json_value(breed_json, '$.life_span')") }} as life_span,
    {{ cleaned("json_value(breed_json, '$.weight.metric')") }} as weight_class_kg,
    {{ cleaned("json_value(breed_json, '$.weight.imperial')") }} as weight_class_lb,
    {{ cleaned("json_value(breed_json, '$.origin')") }} as origin,
    updated_at as ingested_at,
    breed_json
from raw
