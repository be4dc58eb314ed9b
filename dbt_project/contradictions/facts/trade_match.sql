{#
    Invoice and what belongs to it: its order, by the number in the remark; the shipment of that order whose units at the
    order's price make the invoice's amount, the nearest to its day; the payments that name it, or pay its amount.
#}
with placed as (
    select order_number, min(cast(event_at as date)) as ordered_on, max(quantity_units) as quantity_units,
        max(unit_price_cny) as unit_price_cny
    from {{ silver('platform_order') }} group by order_number
    having max(quantity_units) is not null
), ordered as (
    select bill.invoice_number, bill.issued_on, bill.amount_cny, placed.order_number, placed.ordered_on,
        placed.quantity_units, placed.unit_price_cny
    from {{ fact('bill') }} as bill join placed on placed.order_number = bill.order_number
), shipped as (
    select ordered.invoice_number, sent.waybill_number, sent.shipped_on, sent.quantity_units,
        row_number() over (partition by ordered.invoice_number order by
            abs({{ days_between('sent.shipped_on', 'ordered.issued_on') }}), sent.shipped_on, sent.waybill_number) as place
    from ordered join {{ fact('shipment') }} as sent on sent.order_number = ordered.order_number
        and sent.quantity_units > 0
        and abs(sent.quantity_units * ordered.unit_price_cny - ordered.amount_cny) <= 0.02
)
select invoice_number, 'order' as record, ordered_on as occurred_on, cast(quantity_units as double) as amount,
    order_number as record_number, 'order number' as matched_by from ordered
union all
select invoice_number, 'delivery', shipped_on, cast(quantity_units as double), waybill_number, 'order and amount'
from shipped where place = 1
union all
select invoice_number, 'payment', paid_on, cast(amount_cny as double), cast(payment_number as string), matched_by
from {{ fact('paid_bill') }}
