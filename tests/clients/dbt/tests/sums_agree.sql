select o.order_id
from {{ ref('orders') }} o
join {{ ref('stg_payments') }} p using (order_id)
group by o.order_id, o.amount
having sum(p.amount) <> o.amount
