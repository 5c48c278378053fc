{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge', on_schema_change='append_new_columns') }}
select id, customer_id, state, amount, loaded_at {% if var('later', false) %}, upper(state) as shouted{% endif %}
from {{ ref('all_orders') }}
{% if is_incremental() %}where loaded_at > (select max(loaded_at) from {{ this }}){% endif %}
