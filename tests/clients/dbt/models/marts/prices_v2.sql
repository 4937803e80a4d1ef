select order_id, amount, payments from {{ ref('orders') }}
