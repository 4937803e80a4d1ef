select avg(spent) from {{ ref('customers') }}
