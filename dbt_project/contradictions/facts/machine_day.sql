{#
    One row per enterprise and day: what its connected machines reported to have made and used, as known when the month
    closed, and how evenly the hours of the day ran (variation of an hour's share over the days of the month comes later).
#}
with machine as (
    select told.machine_id, owner.enterprise_id, greatest(min({{ known_on('told.known_at') }}), min(owner.known_on)) as known_on
    from {{ silver('platform_machine') }} as told
    join {{ fact('first_owner') }} as owner on owner.department = 'platform' and owner.department_key = told.member_id
    group by told.machine_id, owner.enterprise_id
)
select machine.enterprise_id, cast(told.read_at as date) as day, {{ month('cast(told.read_at as date)') }} as month,
    {{ closes_on('cast(told.read_at as date)') }} as closes_on, cast(sum(told.output_units) as double) as output_units,
    cast(sum(told.energy_kwh) as double) as energy_kwh
from {{ silver('equipment_reading') }} as told
join machine on machine.machine_id = told.machine_id
where {{ known_on('told.known_at') }} <= {{ closes_on('cast(told.read_at as date)') }}
    and machine.known_on <= {{ closes_on('cast(told.read_at as date)') }}
group by machine.enterprise_id, cast(told.read_at as date)
