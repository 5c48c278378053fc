{{ config(materialized='view') }}
select id, customer_id, state, amount, day, loaded_at from {{ source('raw', 'orders') }}
