{# Whose a department's number is: one row per number and version. Of merged firms the newest version counts. #}
{% if has('enterprise_key') %}
select department, key as department_key, enterprise_id, known_on, replaced_on
from {{ versions('enterprise_key') }}
{% else %}
{# Before identities were resolved: by the national codes that departments hold. #}
select said.department, said.department_key, held.uscc as enterprise_id, said.known_on, said.replaced_on
from {{ versions('department_subject') }} as said
join (select distinct uscc from {{ silver('registered_enterprise') }}) as held on held.uscc = said.code
{% endif %}
