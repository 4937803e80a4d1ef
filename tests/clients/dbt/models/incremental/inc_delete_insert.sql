{{ config(incremental_strategy='delete+insert', unique_key='order_id') }}
select order_id, customer_id, status, changed_at
from {{ ref('stg_orders') }}
{% if is_incremental() %}
where changed_at > (select max(changed_at) from {{ this }})
{% endif %}
