{#
    Statement of a year, when it was handed in: its revenue by the sales declared for that year, by the invoices of that
    year, and by what firms paid for goods and cards brought in it, without tax.
#}
with handed as (
    select told.uscc as enterprise_id, told.fiscal_year, make_date(told.fiscal_year, 1, 1) as year_begins,
        cast(told.revenue_cny as double) as revenue_cny, {{ known_on('told.known_at') }} as found_on
    from {{ silver('financial_statement') }} as told where told.version_no = 1 and told.revenue_cny > 0
), taxed as (
    select enterprise_id, year(quarter) as fiscal_year, sum(declared_cny) as declared_cny, max(closes_on) as closes_on
    from {{ fact('declared') }} where is_whole group by enterprise_id, year(quarter) having count(*) = 4
), sold as (
    select enterprise_id, year(month) as fiscal_year, sum(sales_cny) as sales_cny, max(closes_on) as closes_on
    from {{ fact('sales') }} group by enterprise_id, year(month)
), came as (
    select enterprise_id, year(month) as fiscal_year, sum(received_cny) / 1.13 as received_cny, max(closes_on) as closes_on
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
