{#
    One row per receipt whose first five days have been read: readings a unit of the receipt, median of those days, and
    the first day at whose beginning all of them were known.
#}
with numbered as (
    select lot.*, receipt.good, receipt.quantity_units, receipt.enterprise_id, receipt.issued_on, receipt.known_on as receipt_known_on,
        row_number() over (partition by lot.receipt_number order by lot.day) as place
    from {{ fact('lot_day') }} as lot
    join {{ fact('receipt') }} as receipt on receipt.receipt_number = lot.receipt_number
    where receipt.quantity_units > 0 and lot.volume is not null and lot.boxes is not null and lot.weight is not null
)
select receipt_number, enterprise_id, good, quantity_units, issued_on, max(day) as read_until,
    greatest(max(known_on), max(receipt_known_on)) as known_on,
    median(weight) as weight, median(volume) as volume, median(boxes) as boxes,
    median(weight / quantity_units) as weight_ratio, median(volume / quantity_units) as volume_ratio,
    median(boxes / quantity_units) as boxes_ratio
from numbered where place <= 5
group by receipt_number, enterprise_id, good, quantity_units, issued_on having count(*) = 5
