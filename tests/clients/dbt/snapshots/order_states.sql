{% snapshot order_states %}
{{ config(unique_key='order_id', strategy='timestamp', updated_at='changed_at', invalidate_hard_deletes=True) }}
select * from {{ ref('stg_orders') }}
{% endsnapshot %}
