{# One row per receipt and day: what its scales, its scan of volume and its camera read, and how often doors opened. #}
select told.receipt_number, cast(told.event_at as date) as day,
    max(case when told.sensor = 'weight_kg' then cast(told.reading as double) end) as weight,
    max(case when told.sensor = 'volume_m3' then cast(told.reading as double) end) as volume,
    max(case when told.sensor = 'camera_boxes' then cast(told.reading as double) end) as boxes,
    max(told.door_openings) as doors, max({{ known_on('told.known_at') }}) as known_on
from {{ silver('platform_warehouse_sensor') }} as told
group by told.receipt_number, cast(told.event_at as date)
