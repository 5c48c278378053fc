with normalised as (
    select * from {{ ref('breeds_normalised') }}
)

select
    breed_id,
    name,
    coalesce(breed_group, 'Unknown') as breed_group,
    temperament,
    life_span_min_years,
    life_span_max_years,
    weight_min_kg,
    weight_max_kg,
    weight_source,
    origin,
    ingested_at
from normalised
