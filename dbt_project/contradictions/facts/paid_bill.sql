{#
    One row per payment and the invoice that it pays: the one that its remark names, by number or by its last eight
    digits; else, of invoices and payments of one buyer, seller and amount that name nothing, the first by the first.
#}
with named as (
    select paid.payment_number, bill.invoice_number, paid.paid_on, paid.amount_cny
    from {{ fact('goods_payment') }} as paid
    join {{ fact('bill') }} as bill on bill.invoice_number = paid.invoice_number
    where paid.payee_id = bill.seller_id or substr(paid.payee_id, 3, 15) = bill.seller_id
    union all
    select paid.payment_number, bill.invoice_number, paid.paid_on, paid.amount_cny
    from {{ fact('goods_payment') }} as paid
    join {{ fact('bill') }} as bill on right(bill.invoice_number, 8) = paid.invoice_number
        and length(bill.invoice_number) > 8
    where paid.payee_id = bill.seller_id or substr(paid.payee_id, 3, 15) = bill.seller_id
), open_bills as (
    select bill.*, row_number() over (
        partition by bill.seller_id, bill.buyer_id, bill.total_cny order by bill.issued_on, bill.invoice_number) as place
    from {{ fact('bill') }} as bill left join named on named.invoice_number = bill.invoice_number
    where named.invoice_number is null and bill.buyer_id is not null
), open_payments as (
    select paid.*, row_number() over (
        partition by paid.payee_id, paid.payer_id, paid.amount_cny order by paid.paid_on, paid.payment_number) as place
    from {{ fact('goods_payment') }} as paid left join named on named.payment_number = paid.payment_number
    where named.payment_number is null and paid.invoice_number is null
)
select payment_number, invoice_number, paid_on, amount_cny, 'remark' as matched_by from named
union all
select paid.payment_number, bill.invoice_number, paid.paid_on, paid.amount_cny, 'amount' as matched_by
from open_payments as paid
join open_bills as bill on bill.seller_id = paid.payee_id and bill.buyer_id = paid.payer_id
    and bill.total_cny = paid.amount_cny and bill.place = paid.place
    and paid.paid_on >= {{ days_after('bill.issued_on', -5) }}
