{#
    Statement of a year, when it was handed in: its revenue by the sales declared for that year, by the invoices of that
    year, and by what firms paid for goods and cards brought in it, without tax. Of a quarter whose returns are late or
    misprinted the invoices stand in, where there are returns of two others.
#}
with handed as (
    select told.uscc as enterprise_id, told.fiscal_year, make_date(told.fiscal_year, 1, 1) as year_begins,
        cast(told.revenue_cny as double) as revenue_cny, {{ known_on('told.known_at') }} as found_on
    from {{ silver('financial_statement') }} as told where told.version_no = 1 and told.revenue_cny > 0
), quarters as (
    select enterprise_id, cast(date_trunc('quarter', month) as date) as quarter, sum(sales_cny) as sales_cny
    from {{ fact('sales') }} group by enterprise_id, cast(date_trunc('quarter', month) as date)
), told as (
    select coalesce(sold.enterprise_id, said.enterprise_id) as enterprise_id, coalesce(sold.quarter, said.quarter) as quarter,
        sold.sales_cny, said.declared_cny
    from quarters as sold
    full outer join (select enterprise_id, quarter, declared_cny from {{ fact('declared') }} where is_whole) as said
        on said.enterprise_id = sold.enterprise_id and said.quarter = sold.quarter
), taxed as (
    select enterprise_id, year(quarter) as fiscal_year, sum(coalesce(declared_cny, sales_cny)) as declared_cny
    from told group by enterprise_id, year(quarter) having count(*) = 4 and count(declared_cny) >= 2
), sold as (
    select enterprise_id, year(quarter) as fiscal_year, sum(sales_cny) as sales_cny
    from quarters group by enterprise_id, year(quarter)
), came as (
    select enterprise_id, year(month) as fiscal_year, sum(received_cny) / 1.13 as received_cny
    from {{ fact('goods_received') }} group by enterprise_id, year(month)
)
select handed.enterprise_id, handed.year_begins as period_from, make_date(handed.fiscal_year, 12, 31) as period_to,
    greatest(handed.found_on, make_date(handed.fiscal_year + 1, 5, 1)) as found_on,
    {{ ratio('handed.revenue_cny', 'taxed.declared_cny') }} as statement_above_tax_sales,
    {{ ratio('handed.revenue_cny', 'sold.sales_cny') }} as statement_above_invoices,
    {{ ratio('handed.revenue_cny', 'came.received_cny') }} as statement_above_receipts
from handed
left join taxed on taxed.enterprise_id = handed.enterprise_id and taxed.fiscal_year = handed.fiscal_year
left join sold on sold.enterprise_id = handed.enterprise_id and sold.fiscal_year = handed.fiscal_year
left join came on came.enterprise_id = handed.enterprise_id and came.fiscal_year = handed.fiscal_year
