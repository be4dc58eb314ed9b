{# One row per department's number: the enterprise that it was first linked to, and since when that is known. #}
select department, department_key, enterprise_id, known_on
from (
    select *, row_number() over (
        partition by department, department_key order by known_on, replaced_on nulls last, enterprise_id) as place
    from {{ fact('owner') }} where enterprise_id is not null
) as told where place = 1
