-- Definitions: features_days.yml.
with spine as (

    select
        as_of,
        enterprise_id,
        month_start,
        first_issued_on,
        -- Where the year window of the gaps begins: not before the firm does.
        case when first_issued_on < month_start then
            greatest(add_months(month_start, -12), first_issued_on)
        end as gap_start
    from {{ ref('int_spine') }}

),

days as (

    select * from {{ ref('int_day_summary') }}

)

select
    spine.as_of,
    spine.enterprise_id,

    -- recency
    datediff(spine.as_of, sale.last_valid_day) as since_last_sale_days,
    datediff(spine.as_of, purchase.last_valid_day) as since_last_purchase_days,
    {{ cny('coalesce(sale.fen_30d, 0L)') }} as sales_amount_30d_cny,
    {{ cny('coalesce(sale.fen_90d, 0L)') }} as sales_amount_90d_cny,
    {{ cny('coalesce(purchase.fen_90d, 0L)') }} as purchase_amount_90d_cny,
    coalesce(sale.count_30d, 0L) as sales_invoice_30d_count,
    coalesce(sale.count_90d, 0L) as sales_invoice_90d_count,
    coalesce(purchase.count_90d, 0L) as purchase_invoice_90d_count,
    {{ ratio('sale.fen_90d', 'sale.fen_365d') }} as sales_90d_to_365d_ratio,

    -- gaps
    {% for name, side in [('sales', 'sale'), ('purchase', 'purchase')] -%}
    greatest(
        case when {{ side }}.first_day_in_year is null then datediff(spine.month_start, spine.gap_start) end,
        datediff({{ side }}.first_day_in_year, spine.gap_start),
        {{ side }}.max_gap_days - 1,
        datediff(spine.month_start, {{ side }}.last_day_in_year) - 1
    ) as {{ name }}_max_gap_12m_days,
    {% endfor -%}
    {{ ratio('datediff(sale.last_day_in_year, sale.first_day_in_year)', '(sale.active_days - 1)') }} as sales_gap_mean_12m_days,
    sale.gap_days_p90 as sales_gap_p90_12m_days,
    cast(coalesce(sale.active_days, 0L) as int) as sales_active_12m_days,
    cast(coalesce(purchase.active_days, 0L) as int) as purchase_active_12m_days,

    -- tenure
    datediff(spine.as_of, spine.first_issued_on) as invoice_tenure_days,
    datediff(spine.as_of, sale.first_valid_day) as sales_tenure_days
from spine
left join days as sale
    on spine.as_of = sale.as_of and spine.enterprise_id = sale.enterprise_id and sale.direction = 'sale'
left join days as purchase
    on spine.as_of = purchase.as_of and spine.enterprise_id = purchase.enterprise_id
    and purchase.direction = 'purchase'
