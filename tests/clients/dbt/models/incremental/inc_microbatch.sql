{{ config(incremental_strategy='microbatch', unique_key='order_id', event_time='ordered_at', begin='2024-01-01', batch_size='day', lookback=1) }}
select order_id, customer_id, ordered_at, status
from {{ ref('stg_orders') }}
