{#
    One row per seller, buyer and month between whom there are invoices for goods without a shipment, of firms that both
    give and take such invoices in that month: no other can be in a ring.
#}
with edges as (
    select seller_id as seller, buyer_id as buyer, month, judged_on, sum(amount_cny) as amount_cny,
        max(case when is_seen then 1 else 0 end) as seen
    from {{ fact('paper') }} where not is_shipped and seller_id <> buyer_id
    group by seller_id, buyer_id, month, judged_on
), givers as (select distinct seller, month from edges), takers as (select distinct buyer, month from edges)
select edges.* from edges
join givers on givers.seller = edges.buyer and givers.month = edges.month
join takers on takers.buyer = edges.seller and takers.month = edges.month
