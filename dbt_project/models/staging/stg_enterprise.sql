select
    enterprise_id,
    {{ known_day('known_at') }} as known_day
from {{ source('silver', 'enterprise') }}
