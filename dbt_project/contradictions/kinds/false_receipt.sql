{#
    Receipt, when its first five days have been read: weight, volume and boxes a unit of the receipt, by the median of
    other lots of the same good that had been read by then.
#}
with peers as (
    select lot.receipt_number, count(*) as lots, median(other.weight_ratio) as weight_ratio,
        median(other.volume_ratio) as volume_ratio, median(other.boxes_ratio) as boxes_ratio
    from {{ fact('lot_start') }} as lot
    join {{ fact('lot_start') }} as other on other.good = lot.good and other.receipt_number <> lot.receipt_number
        and other.known_on <= lot.known_on
    group by lot.receipt_number
)
select lot.enterprise_id, lot.issued_on as period_from, lot.read_until as period_to, lot.known_on as found_on,
    {{ ratio('lot.volume_ratio', 'peers.volume_ratio') }} as volume_below_receipt,
    {{ ratio('lot.boxes_ratio', 'peers.boxes_ratio') }} as camera_below_receipt,
    {{ ratio('lot.weight_ratio', 'peers.weight_ratio') }} as weight_below_receipt
from {{ fact('lot_start') }} as lot
join peers on peers.receipt_number = lot.receipt_number and peers.lots >= 3
