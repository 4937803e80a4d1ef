{{ config(materialized='ephemeral') }}
select order_id, sum(amount) as amount, count(*) as payments,
    {%- for method in ['card', 'gift card', 'transfer', 'coupon'] %}
    sum(case when method = '{{ method }}' then amount else 0 end) as {{ method | replace(' ', '_') }}_amount{{ "," if not loop.last }}
    {%- endfor %}
from {{ ref('stg_payments') }}
group by order_id
