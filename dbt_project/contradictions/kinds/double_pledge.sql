{#
    Pair of receipts of one owner that are out at the same time, when five days of both have been read: share of those
    days on which the volume is the same to the litre; whether both say the same quantity to two holders, and one lot code.
#}
with pairs as (
    select one.receipt_number, one.enterprise_id, other.receipt_number as other_number, other.issued_on,
        greatest(one.known_on, other.known_on) as known_on,
        case when one.quantity_units = other.quantity_units
            and one.pledged_to_institution <> other.pledged_to_institution then 1.0 else 0.0 end as same_quantity_two_lenders,
        case when one.lot_code = other.lot_code then 1.0 else 0.0 end as same_lot_code
    from {{ fact('receipt') }} as one
    join {{ fact('receipt') }} as other on other.enterprise_id = one.enterprise_id
        and (other.issued_on > one.issued_on
            or (other.issued_on = one.issued_on and other.receipt_number > one.receipt_number))
        and (one.released_on is null or one.released_on > other.issued_on)
), days as (
    select pairs.*, a.day, greatest(a.known_on, b.known_on, pairs.known_on) as day_known_on,
        case when abs(a.volume - b.volume) < 0.001 then 1.0 else 0.0 end as is_same,
        row_number() over (partition by pairs.receipt_number, pairs.other_number order by a.day) as place
    from pairs
    join {{ fact('lot_day') }} as a on a.receipt_number = pairs.receipt_number
    join {{ fact('lot_day') }} as b on b.receipt_number = pairs.other_number and b.day = a.day
    where a.volume is not null and b.volume is not null
), judged as (
    select enterprise_id, issued_on, max(day) as read_until, max(day_known_on) as found_on,
        avg(is_same) as identical_sensor_series, max(same_quantity_two_lenders) as same_quantity_two_lenders,
        max(same_lot_code) as same_lot_code
    from days where place <= 5
    group by enterprise_id, issued_on, receipt_number, other_number having count(*) = 5
)
select judged.enterprise_id, judged.issued_on as period_from, judged.read_until as period_to, judged.found_on,
    judged.identical_sensor_series, judged.same_quantity_two_lenders, judged.same_lot_code
from judged
