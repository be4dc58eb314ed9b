{#
    One row per visit to a client that can be told by its number, or by a registered name that one firm alone bears. Stock
    that was not entered as a number is taken from the note, where that has one.
#}
with numbered as (
    select told.visit_number, owner.enterprise_id, owner.known_on
    from {{ silver('field_visit') }} as told
    join {{ fact('first_owner') }} as owner on owner.department = 'field' and owner.department_key = told.client_number
)
select told.visit_number, coalesce(numbered.enterprise_id, named.enterprise_id) as enterprise_id, told.visited_on,
    {{ month('told.visited_on') }} as month, told.staff_seen, coalesce(told.stock_seen_units, cast(nullif(
        regexp_extract(told.note, '(库存约|成品库大约|仓库估计有)([0-9]+)件', 2), '') as int)) as stock_seen_units, told.note,
    told.confidence,
    greatest({{ known_on('told.known_at') }}, coalesce(numbered.known_on, named.known_on)) as known_on
from {{ silver('field_visit') }} as told
left join numbered on numbered.visit_number = told.visit_number
left join {{ fact('named') }} as named on named.name = told.client_name
    and (named.until_on is null or named.until_on > greatest({{ known_on('told.known_at') }}, named.known_on))
where coalesce(numbered.enterprise_id, named.enterprise_id) is not null
