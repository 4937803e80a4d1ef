{{ config(incremental_strategy='merge', unique_key='order_id', merge_exclude_columns=['first_seen'], on_schema_change='append_new_columns') }}
select order_id, status, changed_at, '{{ env_var("SHOP_UNTIL") }}' as first_seen
    {%- if env_var('SHOP_UNTIL') > '2024-01-05' %}, customer_id{% endif %}
from {{ ref('stg_orders') }}
