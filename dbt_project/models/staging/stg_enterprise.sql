select
    enterprise_id,
    cast(known_at as date) + case when known_at > date_trunc('day', known_at) then 1 else 0 end as known_day
from {{ source('silver', 'enterprise') }}
