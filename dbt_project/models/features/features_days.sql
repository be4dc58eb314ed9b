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

)

select
    spine.as_of,
    spine.enterprise_id,

    -- recency
    datediff(spine.as_of, days.sale_last_day) as since_last_sale_days,
    datediff(spine.as_of, days.purchase_last_day) as since_last_purchase_days,
    {{ cny('coalesce(days.sale_fen_30d, 0L)') }} as sales_amount_30d_cny,
    {{ cny('coalesce(days.sale_fen_90d, 0L)') }} as sales_amount_90d_cny,
    {{ cny('coalesce(days.purchase_fen_90d, 0L)') }} as purchase_amount_90d_cny,
    coalesce(days.sale_count_30d, 0L) as sales_invoice_30d_count,
    coalesce(days.sale_count_90d, 0L) as sales_invoice_90d_count,
    coalesce(days.purchase_count_90d, 0L) as purchase_invoice_90d_count,
    {{ ratio('days.sale_fen_90d', 'days.sale_fen_365d') }} as sales_90d_to_365d_ratio,

    -- gaps
    {% for name, side in [('sales', 'sale'), ('purchase', 'purchase')] -%}
    greatest(
        case when days.{{ side }}_first_day_in_year is null then datediff(spine.month_start, spine.gap_start) end,
        datediff(days.{{ side }}_first_day_in_year, spine.gap_start),
        days.{{ side }}_max_gap_days - 1,
        datediff(spine.month_start, days.{{ side }}_last_day_in_year) - 1
    ) as {{ name }}_max_gap_12m_days,
    {% endfor -%}
    {{ ratio('datediff(days.sale_last_day_in_year, days.sale_first_day_in_year)', '(days.sale_active_days - 1)') }} as sales_gap_mean_12m_days,
    days.sale_gap_days_p90 as sales_gap_p90_12m_days,
    cast(coalesce(days.sale_active_days, 0L) as int) as sales_active_12m_days,
    cast(coalesce(days.purchase_active_days, 0L) as int) as purchase_active_12m_days,

    -- tenure
    datediff(spine.as_of, spine.first_issued_on) as invoice_tenure_days,
    datediff(spine.as_of, days.sale_first_day) as sales_tenure_days
from spine
left join {{ ref('int_day_summary') }} as days
    on spine.as_of = days.as_of and spine.enterprise_id = days.enterprise_id
