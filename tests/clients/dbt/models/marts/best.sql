{{ config(materialized='view', alias='best_customers', schema='reports', tags=['reports']) }}
select name, spent, rank() over (order by spent desc, name) as place
from {{ ref('customers') }}
