{{ config(
    materialized='incremental', incremental_strategy='insert_overwrite',
    partition_by={'field': 'day', 'data_type': 'date'}, cluster_by=['customer_id']
) }}
select day, customer_id, sum(amount) as amount, count(*) as orders
from {{ ref('all_orders') }}
{% if is_incremental() %}where day >= '2026-01-02'{% endif %}
group by day, customer_id
