{{ config(incremental_strategy='append') }}
select order_id, status, changed_at, '{{ env_var("SHOP_UNTIL") }}' as seen_on
from {{ ref('stg_orders') }}
{% if is_incremental() %}
where changed_at > (select coalesce(max(changed_at), '1900-01-01') from {{ this }})
{% endif %}
