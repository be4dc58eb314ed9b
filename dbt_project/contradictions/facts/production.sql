{# One row per enterprise and day that a member of the platform reported: output and stock, by the close of the month. #}
select owner.enterprise_id, cast(told.event_at as date) as day, {{ month('cast(told.event_at as date)') }} as month,
    {{ closes_on('cast(told.event_at as date)') }} as closes_on, max(told.output_units) as output_units,
    max(told.finished_units) as finished_units, max(told.work_in_progress_units) as work_in_progress_units,
    max(told.raw_units) as raw_units
from {{ silver('platform_production_day') }} as told
{{ owner('platform', 'told.member_id', closes_on('cast(told.event_at as date)'), 'owner') }}
where owner.enterprise_id is not null and {{ known_on('told.known_at') }} <= {{ closes_on('cast(told.event_at as date)') }}
group by owner.enterprise_id, cast(told.event_at as date)
