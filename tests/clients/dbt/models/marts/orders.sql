select o.order_id, o.customer_id, o.status, o.ordered_at, date_trunc('week', o.ordered_at)::date as week, p.amount, p.payments
from {{ ref('stg_orders') }} o
join {{ ref('paid') }} p using (order_id)
