{#
    One row per taxpayer and quarter: sales declared by monthly or quarterly returns, as known on the first day of the
    second month after the quarter. A return whose tax is more than any rate of its sales is misprinted and left out.
    `is_whole`: all of the quarter's returns are there, three of who files by month, one of who files by quarter.
#}
with told as (
    select owner.enterprise_id, cast(date_trunc('quarter', told.period_start) as date) as quarter, told.period_start,
        told.declared_sales_cny
    from {{ versions('tax_return') }} as told
    {{ owner('tax_returns', 'told.taxpayer_id', "cast(add_months(cast(date_trunc('quarter', told.period_start) as date), 4) as date)", 'owner') }}
    where owner.enterprise_id is not null and coalesce(told.output_tax_cny, 0) <= 0.18 * told.declared_sales_cny
        and {{ stands_on('told', "cast(add_months(cast(date_trunc('quarter', told.period_start) as date), 4) as date)") }}
), kept as (
    select enterprise_id, quarter, count(*) as returns, cast(sum(declared_sales_cny) as double) as declared_cny
    from told group by enterprise_id, quarter
)
select enterprise_id, quarter, declared_cny, cast(add_months(quarter, 4) as date) as closes_on,
    returns = 3 or (count(*) over before >= 3 and max(returns) over before = 1) as is_whole
from kept
window before as (partition by enterprise_id order by quarter rows between 4 preceding and current row)
