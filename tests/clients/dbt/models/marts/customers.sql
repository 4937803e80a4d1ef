{{ config(
    indexes=[{'columns': ['customer_id'], 'unique': True}, {'columns': ['name', 'joined']}],
    post_hook="comment on column {{ this }}.orders is 'So far'"
) }}
select c.customer_id, c.name::varchar(40) as name, c.joined, count(o.order_id) as orders, coalesce(sum(p.amount), 0)::numeric(12, 2) as spent,
       min(o.ordered_at) as first_order, max(o.ordered_at) as last_order
from {{ ref('stg_customers') }} c
left join {{ ref('stg_orders') }} o using (customer_id)
left join {{ ref('paid') }} p using (order_id)
group by c.customer_id, c.name, c.joined
