{#
    Enterprise and month: rings of three to five firms that invoice each other around within a month, where none of the
    invoices that the platform can show has a shipment; how much of its invoices those are, what it sold by what it used
    of electricity against the year before, and how alike the amounts of the ring are.
#}
with inner_edges as (
    select * from {{ fact('paper_edge') }}
), rings as (
    select a.month, a.judged_on, a.seller as seller_1, b.seller as seller_2, c.seller as seller_3, cast(null as string) as seller_4,
        cast(null as string) as seller_5, a.seen + b.seen + c.seen as seen, 3 as size,
        least(a.amount_cny, b.amount_cny, c.amount_cny) as least_cny,
        greatest(a.amount_cny, b.amount_cny, c.amount_cny) as most_cny
    from inner_edges as a join inner_edges as b on b.month = a.month and b.seller = a.buyer
    join inner_edges as c on c.month = a.month and c.seller = b.buyer and c.buyer = a.seller
    where a.seller < b.seller and a.seller < c.seller and b.seller <> c.seller
    union all
    select a.month, a.judged_on, a.seller, b.seller, c.seller, d.seller, cast(null as string),
        a.seen + b.seen + c.seen + d.seen, 4, least(a.amount_cny, b.amount_cny, c.amount_cny, d.amount_cny),
        greatest(a.amount_cny, b.amount_cny, c.amount_cny, d.amount_cny)
    from inner_edges as a join inner_edges as b on b.month = a.month and b.seller = a.buyer
    join inner_edges as c on c.month = a.month and c.seller = b.buyer
    join inner_edges as d on d.month = a.month and d.seller = c.buyer and d.buyer = a.seller
    where a.seller < b.seller and a.seller < c.seller and a.seller < d.seller
        and b.seller <> c.seller and b.seller <> d.seller and c.seller <> d.seller
    union all
    select a.month, a.judged_on, a.seller, b.seller, c.seller, d.seller, e.seller,
        a.seen + b.seen + c.seen + d.seen + e.seen, 5,
        least(a.amount_cny, b.amount_cny, c.amount_cny, d.amount_cny, e.amount_cny),
        greatest(a.amount_cny, b.amount_cny, c.amount_cny, d.amount_cny, e.amount_cny)
    from inner_edges as a join inner_edges as b on b.month = a.month and b.seller = a.buyer
    join inner_edges as c on c.month = a.month and c.seller = b.buyer
    join inner_edges as d on d.month = a.month and d.seller = c.buyer
    join inner_edges as e on e.month = a.month and e.seller = d.buyer and e.buyer = a.seller
    where a.seller < b.seller and a.seller < c.seller and a.seller < d.seller and a.seller < e.seller
        and b.seller <> c.seller and b.seller <> d.seller and b.seller <> e.seller
        and c.seller <> d.seller and c.seller <> e.seller and d.seller <> e.seller
), members as (
    select month, judged_on, seller_1 as enterprise_id, seen, size, {{ ratio('least_cny', 'most_cny') }} as likeness from rings
    union all select month, judged_on, seller_2, seen, size, {{ ratio('least_cny', 'most_cny') }} from rings
    union all select month, judged_on, seller_3, seen, size, {{ ratio('least_cny', 'most_cny') }} from rings
    union all select month, judged_on, seller_4, seen, size, {{ ratio('least_cny', 'most_cny') }} from rings where seller_4 is not null
    union all select month, judged_on, seller_5, seen, size, {{ ratio('least_cny', 'most_cny') }} from rings where seller_5 is not null
), circles as (
    select enterprise_id, month, judged_on, cast(max(seen) as double) as invoice_circle, max(likeness) as equal_amounts
    from members group by enterprise_id, month, judged_on
), papers as (
    select seller_id as enterprise_id, month, sum(amount_cny) as billed_cny,
        sum(case when is_seen and not is_shipped then amount_cny else 0 end) as undelivered_cny
    from {{ fact('paper') }} group by seller_id, month
), energy as (
    select used.enterprise_id, used.month, sold.billed_cny / used.energy_kwh as sales_per_kwh,
        avg(sold.billed_cny / used.energy_kwh) over (
            partition by used.enterprise_id order by used.month rows between 12 preceding and 1 preceding) as usual
    from {{ fact('metered') }} as used
    join {{ fact('sales') }} as sold on sold.enterprise_id = used.enterprise_id and sold.month = used.month
    where used.energy_kwh > 0
)
select circles.enterprise_id, circles.month as period_from, last_day(circles.month) as period_to,
    circles.judged_on as found_on, circles.invoice_circle,
    {{ ratio('papers.undelivered_cny', 'papers.billed_cny') }} as invoice_without_delivery,
    {{ ratio('energy.sales_per_kwh', 'energy.usual') }} as sales_against_energy, circles.equal_amounts
from circles
left join papers on papers.enterprise_id = circles.enterprise_id and papers.month = circles.month
left join energy on energy.enterprise_id = circles.enterprise_id and energy.month = circles.month
