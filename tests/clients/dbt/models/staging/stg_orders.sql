{# The newest state of each order that is known on the day that is set. #}
with known as (
    select *, row_number() over (partition by id order by changed_at desc) as newest
    from {{ ref('raw_orders') }}
    where changed_at < '{{ env_var("SHOP_UNTIL") }}'::date
)
select id as order_id, customer_id, ordered_at, status, changed_at
from known
where newest = 1
