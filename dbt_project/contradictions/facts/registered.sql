{#
    Whom a finding can be about, and since when that is known: enterprises of the register, and others that a department
    holds with their credit code.
#}
select enterprise_id, min(known_on) as known_on
from (
    select uscc as enterprise_id, {{ known_on('known_at') }} as known_on from {{ silver('registered_enterprise') }}
    where uscc is not null
    union all
    select enterprise_id, known_on from {{ fact('owner') }}
    where length(enterprise_id) = 18 and enterprise_id not like '%-%'
) as told group by enterprise_id
