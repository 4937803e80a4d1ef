select id as payment_id, order_id, method, amount, {{ cents('amount') }} as cents
from {{ ref('raw_payments') }}
