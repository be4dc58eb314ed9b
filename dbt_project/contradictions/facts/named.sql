{# One row per registered name that one enterprise alone bears, and since when that is known. #}
select name, min(uscc) as enterprise_id, min({{ known_on('known_at') }}) as known_on
from {{ silver('registered_enterprise') }} where uscc is not null and name is not null
group by name having count(distinct uscc) = 1
