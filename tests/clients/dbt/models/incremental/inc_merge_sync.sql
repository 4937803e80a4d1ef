{{ config(incremental_strategy='merge', unique_key=['order_id'], merge_update_columns=['status'], on_schema_change='sync_all_columns') }}
select order_id, status
    {%- if env_var('SHOP_UNTIL') > '2024-01-05' %}, customer_id{% else %}, changed_at{% endif %}
from {{ ref('stg_orders') }}
