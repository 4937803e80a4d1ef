{{ config(incremental_strategy='delete+insert', unique_key=['customer_id', 'week'],
          incremental_predicates=["DBT_INTERNAL_DEST.week >= '2023-01-01'" | replace('DBT_INTERNAL_DEST.', '')]) }}
select customer_id, date_trunc('week', ordered_at)::date as week, count(*) as orders
from {{ ref('stg_orders') }}
group by 1, 2
