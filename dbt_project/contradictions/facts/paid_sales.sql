{#
    One row per seller and month: what it invoiced, without tax, to households and to buyers that have paid it at all by
    the first day of the fourth month after; red letters taken off.
#}
select told.seller_id as enterprise_id, told.month, cast(sum(told.amount_cny) as double) as sales_cny
from {{ fact('invoice') }} as told
left join {{ fact('paid_pair') }} as paid on paid.buyer_id = told.buyer_id and paid.seller_id = told.seller_id
    and paid.known_on <= told.closes_on
where told.known_on <= told.closes_on and (told.buyer_id is null or paid.known_on is not null)
group by told.seller_id, told.month
