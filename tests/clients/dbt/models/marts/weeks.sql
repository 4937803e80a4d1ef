{{ config(materialized='materialized_view', on_configuration_change='apply') }}
select week, count(*) as orders, sum(amount) as amount
from {{ ref('orders') }}
group by week
