with breeds as (
    select breed_id, temperament from {{ ref('dim_breeds') }}
),

words as (
    select breed_id, trim(word) as temperament
    from breeds, unnest(split(temperament, ',')) as word
)

select distinct breed_id, temperament
from words
where temperament != ''
