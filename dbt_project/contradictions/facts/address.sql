{# One row per enterprise and registered address that it ever bore. #}
select uscc as enterprise_id, address, min({{ known_on('known_at') }}) as known_on
from {{ silver('registered_enterprise') }} where address is not null and uscc is not null group by uscc, address
