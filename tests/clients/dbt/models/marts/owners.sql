{{ config(grants={'select': ['shop_reader'], 'insert': ['shop_reader']}, unlogged=true) }}
select o.order_id, o.customer_id, o.status::text as status from {{ ref('stg_orders') }} o join {{ ref('customers') }} using (customer_id)
