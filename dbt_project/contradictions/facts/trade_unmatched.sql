{# Invoice and record that is missing from it, with the reason. #}
with seen as (
    select bill.invoice_number, bill.issued_on, bill.seller_id, bill.buyer_id, bill.total_cny, bill.order_number,
        placed.order_number is not null as has_order,
        moved.good is not null as is_goods
    from {{ fact('bill') }} as bill
    left join {{ fact('order_placed') }} as placed on placed.order_number = bill.order_number
    left join {{ fact('good_shipped') }} as moved on moved.good = bill.good
), matched as (
    select invoice_number, max(case when record = 'delivery' then 1 else 0 end) as has_delivery,
        sum(case when record = 'payment' then amount else 0 end) as paid_cny
    from {{ fact('trade_match') }} group by invoice_number
), shipped as (
    select order_number, count(*) as shipments from {{ fact('shipment') }} where quantity_units > 0 group by order_number
), pairs as (
    select distinct buyer_id, seller_id from {{ fact('paid_pair') }}
)
select seen.invoice_number, seen.issued_on, 'order' as record,
    case when seen.order_number is null then 'the invoice names no order' else 'the order is not on the platform' end as reason
from seen where not has_order
union all
select seen.invoice_number, seen.issued_on, 'delivery',
    case when not seen.is_goods then 'a service, which is not shipped'
        when not seen.has_order then 'the order is not on the platform'
        when shipped.order_number is null then 'nothing was shipped for the order'
        else 'no shipment of the order makes the amount' end
from seen left join matched on matched.invoice_number = seen.invoice_number
left join shipped on shipped.order_number = seen.order_number
where coalesce(matched.has_delivery, 0) = 0
union all
select seen.invoice_number, seen.issued_on, 'payment',
    case when coalesce(matched.paid_cny, 0) > 0 then 'paid in part'
        when seen.buyer_id is null then 'sold to households'
        when pairs.buyer_id is null then 'the buyer never paid the seller'
        else 'the buyer paid other amounts' end
from seen left join matched on matched.invoice_number = seen.invoice_number
left join pairs on pairs.buyer_id = seen.buyer_id and pairs.seller_id = seen.seller_id
where coalesce(matched.paid_cny, 0) < cast(seen.total_cny as double) - 0.01
