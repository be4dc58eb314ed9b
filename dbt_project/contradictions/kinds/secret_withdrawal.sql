{#
    Receipt, on the first day by which three days in a row had been read low: the highest volume, boxes and weight of
    those three days by those of the lot's first five, and the most door openings of a day of rest within the week around.
#}
with levels as (
    select lot.receipt_number, start.enterprise_id, lot.day, lot.doors, lot.known_on, start.issued_on,
        {{ ratio('lot.volume', 'start.volume') }} as volume_level, {{ ratio('lot.boxes', 'start.boxes') }} as boxes_level,
        {{ ratio('lot.weight', 'start.weight') }} as weight_level
    from {{ fact('lot_day') }} as lot
    join {{ fact('lot_start') }} as start on start.receipt_number = lot.receipt_number and lot.day > start.read_until
    where lot.volume is not null and lot.boxes is not null
), low as (
    select *, max(volume_level) over three as volume_high, max(boxes_level) over three as boxes_high,
        max(weight_level) over three as weight_high, max(known_on) over three as all_known_on,
        count(*) over three as days
    from levels
    window three as (partition by receipt_number order by day rows between 2 preceding and current row)
), first_low as (
    select *, row_number() over (partition by receipt_number order by day) as place
    from low where days = 3 and (volume_high <= 0.85 or boxes_high <= 0.85)
), doors as (
    select first_low.receipt_number, max(lot.doors) as rest_doors
    from first_low
    join {{ fact('lot_day') }} as lot on lot.receipt_number = first_low.receipt_number
        and lot.day between {{ days_after('first_low.day', -8) }} and first_low.day and lot.known_on <= first_low.all_known_on
    where first_low.place = 1 and ((unix_date(lot.day) + 3) % 7) >= 5
    group by first_low.receipt_number
)
select first_low.enterprise_id, first_low.issued_on as period_from, first_low.day as period_to,
    first_low.all_known_on as found_on, first_low.volume_high as volume_falls_before_release,
    first_low.boxes_high as camera_falls_before_release, first_low.weight_high as weight_falls_before_release,
    cast(doors.rest_doors as double) as doors_at_rest_days
from first_low
join {{ fact('receipt') }} as receipt on receipt.receipt_number = first_low.receipt_number
    and (receipt.released_on is null or receipt.released_on > first_low.day
        or receipt.release_known_on > first_low.all_known_on)
left join doors on doors.receipt_number = first_low.receipt_number
where first_low.place = 1
