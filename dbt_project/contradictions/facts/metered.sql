{# One row per enterprise and month: metered energy over all its meters, as known when the month closed. #}
select owner.enterprise_id, {{ month('told.used_on') }} as month, {{ closes_on('told.used_on') }} as closes_on,
    cast(sum(told.energy_kwh) as double) as energy_kwh, count(distinct told.used_on) as days
from {{ versions('electricity_daily_usage') }} as told
{{ owner('electricity', 'told.account_number', closes_on('told.used_on'), 'owner') }}
where owner.enterprise_id is not null and {{ stands_on('told', closes_on('told.used_on')) }}
group by owner.enterprise_id, {{ month('told.used_on') }}, {{ closes_on('told.used_on') }}
