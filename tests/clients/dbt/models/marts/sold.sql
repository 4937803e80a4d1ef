{# Reads two tables that are built anew at the same time. #}
{{ config(materialized='view', grants={'select': ['shop_reader']}) }}
select 'order' as what, order_id as id, amount, {{ function('twice') }}(order_id) as twice from {{ ref('orders') }}
union all
select 'customer', customer_id, spent, {{ function('twice') }}(customer_id) from {{ ref('customers') }}
