select id as customer_id, name, joined, active, notes is not null as has_notes
from {{ ref('raw_customers') }}
