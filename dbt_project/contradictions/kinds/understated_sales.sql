{#
    Enterprise and quarter: invoices to buyers that pay by the sales declared; what firms and cards paid in, less what went on to natural
    persons where cards are taken for others, by the sales declared; goods bought by the sales declared, by what they
    were in the year before.
#}
with quarters as (
    select told.enterprise_id, told.quarter, told.closes_on, told.declared_cny,
        coalesce(sum(sold.sales_cny), 0) as sales_cny, coalesce(sum(bought.purchases_cny), 0) as purchases_cny,
        coalesce(sum(came.received_cny), 0) / 1.13 as received_cny
    from {{ fact('declared') }} as told
    join {{ fact('month') }} as listed on listed.quarter = told.quarter
    left join {{ fact('paid_sales') }} as sold on sold.enterprise_id = told.enterprise_id and sold.month = listed.month
    left join {{ fact('purchases') }} as bought
        on bought.enterprise_id = told.enterprise_id and bought.month = listed.month
    left join {{ fact('goods_received') }} as came
        on came.enterprise_id = told.enterprise_id and came.month = listed.month
    where told.is_whole and told.declared_cny > 0
    group by told.enterprise_id, told.quarter, told.closes_on, told.declared_cny
), spans as (
    select *, sum(received_cny) over lately as received_now, sum(declared_cny) over lately as declared_now,
        sum(declared_cny) over before as declared_before,
        sum(purchases_cny) over before as purchases_before, count(*) over before as quarters_before
    from quarters
    window before as (partition by enterprise_id order by quarter rows between 4 preceding and 1 preceding),
        lately as (partition by enterprise_id order by quarter rows between 1 preceding and current row)
)
select enterprise_id, quarter as period_from, {{ days_after('cast(add_months(quarter, 3) as date)', -1) }} as period_to,
    closes_on as found_on, {{ ratio('sales_cny', 'declared_cny') }} as invoices_above_declared,
    {{ ratio('received_now', 'declared_now') }} as receipts_above_declared,
    {{ ratio('purchases_cny * declared_before', 'declared_cny * purchases_before') }} as purchases_against_declared
from spans where quarters_before >= 2
