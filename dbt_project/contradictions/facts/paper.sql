{#
    One row per invoice between firms for goods that are ever shipped, red letters left out, judged on the first day of
    the fourth month after its own: whether the platform shows its order, whether goods were shipped for that, whether its buyer paid the seller in the
    months around, and whether a red letter took it back.
#}
with asked as (
    select told.*, cast(add_months(told.month, 4) as date) as judged_on from {{ fact('invoice') }} as told
    join {{ fact('good_shipped') }} as moved on moved.good = told.good
        and moved.known_on <= cast(add_months(told.month, 4) as date)
    where not told.is_red and told.buyer_id is not null and told.seller_id is not null
), shipped as (
    select order_number, min(known_on) as known_on from {{ fact('shipment') }}
    where quantity_units > 0 group by order_number
), reversed as (
    select reverses_invoice_number as invoice_number, min(known_on) as known_on from {{ fact('invoice') }}
    where is_red and reverses_invoice_number is not null group by reverses_invoice_number
)
select asked.invoice_number, asked.seller_id, asked.buyer_id, asked.month, asked.issued_on, asked.judged_on,
    cast(asked.amount_cny as double) as amount_cny,
    placed.order_number is not null as is_seen, shipped.order_number is not null as is_shipped,
    paid.buyer_id is not null as is_paying_buyer, reversed.invoice_number is not null as is_reversed
from asked
left join {{ fact('order_placed') }} as placed
    on placed.order_number = asked.order_number and placed.known_on <= asked.judged_on
left join shipped on shipped.order_number = asked.order_number and shipped.known_on <= asked.judged_on
left join {{ fact('paid_pair') }} as paid on paid.buyer_id = asked.buyer_id and paid.seller_id = asked.seller_id
    and paid.known_on <= asked.judged_on
left join reversed on reversed.invoice_number = asked.invoice_number and reversed.known_on <= asked.judged_on
