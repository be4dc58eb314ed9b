{# One row per department's number: the enterprise that it was first linked to, and since when that is known. #}
select department, department_key, min_by(enterprise_id, known_on) as enterprise_id, min(known_on) as known_on
from {{ fact('owner') }} where enterprise_id is not null group by department, department_key
