{#
    Seller and month, over three months: invoices for which the platform shows an order and no shipment to buyers that
    never paid, all invoices to buyers that never paid, such as red letters took back, each by all invoices for goods;
    invoices of the quarter above the sales declared for it.
#}
with mutual as (
    {# Who issues such invoices itself is no customer but a member of a ring. #}
    select seller_id as enterprise_id, month from {{ fact('paper') }}
    where is_seen and not is_shipped group by seller_id, month
), months as (
    select told.seller_id as enterprise_id, told.month, told.judged_on, sum(amount_cny) as billed_cny,
        sum(case when is_seen then amount_cny else 0 end) as seen_cny,
        sum(case when is_seen and not is_shipped and not is_paying_buyer then amount_cny else 0 end) as undelivered_cny,
        sum(case when not is_shipped and not is_paying_buyer then amount_cny else 0 end) as unpaid_cny,
        sum(case when not is_shipped and not is_paying_buyer and is_reversed then amount_cny else 0 end) as reversed_cny,
        count_if(not is_shipped and not is_paying_buyer) as unpaid_invoices
    from {{ fact('paper') }} as told
    left join mutual on mutual.enterprise_id = told.buyer_id and mutual.month = told.month
    where mutual.enterprise_id is null
    group by told.seller_id, told.month, told.judged_on
), spans as (
    select enterprise_id, month, judged_on, sum(billed_cny) over lately as billed_cny, sum(seen_cny) over lately as seen_cny,
        sum(undelivered_cny) over lately as undelivered_cny, sum(unpaid_cny) over lately as unpaid_cny,
        sum(reversed_cny) over lately as reversed_cny, sum(unpaid_invoices) over lately as unpaid_invoices
    from months
    window lately as (partition by enterprise_id order by month rows between 2 preceding and current row)
), quarters as (
    select sold.enterprise_id, listed.quarter, sum(sold.sales_cny) as sales_cny
    from {{ fact('sales') }} as sold join {{ fact('month') }} as listed on listed.month = sold.month
    group by sold.enterprise_id, listed.quarter
)
select spans.enterprise_id, cast(add_months(spans.month, -2) as date) as period_from, last_day(spans.month) as period_to,
    spans.judged_on as found_on,
    {{ ratio('undelivered_cny', 'seen_cny') }} as invoice_without_delivery,
    case when unpaid_invoices >= 2 then {{ ratio('unpaid_cny', 'billed_cny') }} else 0 end as invoice_without_payment,
    {{ ratio('reversed_cny', 'unpaid_cny') }} as reversed_later,
    {{ ratio('quarters.sales_cny - told.declared_cny', 'quarters.sales_cny') }} as invoices_above_declared
from spans
join {{ fact('month') }} as listed on listed.month = spans.month
left join quarters on quarters.enterprise_id = spans.enterprise_id and quarters.quarter = listed.quarter
    and quarters.sales_cny > 0
left join {{ fact('declared') }} as told on told.enterprise_id = spans.enterprise_id and told.quarter = listed.quarter
    and told.is_whole and told.closes_on <= spans.judged_on
