{# One row per visit to a client that can be told by its number, or by a registered name that one firm alone bears. #}
with numbered as (
    select told.visit_number, min_by(owner.enterprise_id, owner.known_on) as enterprise_id, min(owner.known_on) as known_on
    from {{ silver('field_visit') }} as told
    join {{ fact('owner') }} as owner on owner.department = 'field' and owner.department_key = told.client_number
    group by told.visit_number
)
select told.visit_number, coalesce(numbered.enterprise_id, named.enterprise_id) as enterprise_id, told.visited_on,
    {{ month('told.visited_on') }} as month, told.staff_seen, told.stock_seen_units, told.confidence,
    greatest({{ known_on('told.known_at') }}, coalesce(numbered.known_on, named.known_on)) as known_on
from {{ silver('field_visit') }} as told
left join numbered on numbered.visit_number = told.visit_number
left join {{ fact('named') }} as named on named.name = told.client_name
where coalesce(numbered.enterprise_id, named.enterprise_id) is not null
