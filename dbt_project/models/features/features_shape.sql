-- Definitions: features_shape.yml.
with months as (

    select * from {{ ref('int_enterprise_months') }}

),

series as (

    select
        *,
        -- Calendar month (1..12) of months 1..12.
        transform(sequence(1, 12), k -> month(add_months(month_start, -k))) as calendar,
        transform(slice(sale_valid_fen, 1, 12), x -> greatest(x, 0L)) as positive_sales,
        slice(sale_valid_fen, 1, 12) as this_year,
        slice(sale_valid_fen, 13, 12) as last_year,
        zip_with(slice(sale_valid_fen, 1, 12), slice(sale_valid_fen, 13, 12), (x, y) -> x - y) as year_change,
        slice(sale_valid_count, 1, least(12, history_months)) as seen_sale_counts,
        slice(purchase_valid_count, 1, least(12, history_months)) as seen_purchase_counts
    from months

),

sums as (

    select
        *,
        {{ total('positive_sales') }} as positive_sales_12,
        {{ month_sum('sale_valid_fen', 1, 6) }} as sales_6,
        {{ month_sum('sale_valid_fen', 1, 12) }} as sales_12,
        {{ month_sum('sale_valid_fen', 1, 24) }} as sales_24,
        {{ month_sum('purchase_valid_fen', 1, 12) }} as purchases_12
    from series

)

select
    as_of,
    enterprise_id,

    -- seasonality
    {% for name, list in [('new_year_share', '1, 2'), ('q4_share', '10, 11, 12'), ('quarter_end_share', '3, 6, 9, 12')] -%}
    case when history_months >= 12 then {{ ratio(
        total("zip_with(positive_sales, calendar, (x, m) -> case when m in (" ~ list ~ ") then x else 0L end)"),
        'positive_sales_12'
    ) }} end as sales_{{ name }}_12m_ratio,
    {% endfor -%}
    {{ ratio('array_max(positive_sales)', 'positive_sales_12') }} as sales_peak_month_12m_ratio,
    cast({{ dot('positive_sales', 'positive_sales') }} as double)
        / pow(case when positive_sales_12 > 0 then cast(positive_sales_12 as double) end, 2) as sales_month_hhi_12m_ratio,
    case when history_months >= 24 then
        {{ correlation('this_year', 'last_year', 12) }}
    end as sales_seasonal_correlation_24m_ratio,

    -- volatility
    case when history_months >= 6 then {{ variation('slice(sale_valid_fen, 1, 6)', 'sales_6', 6) }} end as sales_cv_6m_ratio,
    case when history_months >= 12 then {{ variation('this_year', 'sales_12', 12) }} end as sales_cv_12m_ratio,
    case when history_months >= 24 then {{ variation('sale_valid_fen', 'sales_24', 24) }} end as sales_cv_24m_ratio,
    case when history_months >= 12 then
        {{ variation('slice(purchase_valid_fen, 1, 12)', 'purchases_12', 12) }}
    end as purchase_cv_12m_ratio,
    case when history_months >= 24 then
        2.0D * {{ variation('year_change', 'sales_24', 12) }}
    end as sales_seasonal_adjusted_cv_24m_ratio,
    case when history_months >= 12 then {{ ratio(month_changes('sale_valid_fen'), 'sales_12') }} end as sales_month_change_12m_ratio,
    case when history_months >= 12 then
        {{ ratio(month_changes('purchase_valid_fen'), 'purchases_12') }}
    end as purchase_month_change_12m_ratio,

    -- gaps
    {{ month_count('sale_valid_count', 1, 12) }} as sales_active_12m_months,
    {{ month_count('sale_valid_count', 1, 24) }} as sales_active_24m_months,
    {{ month_count('purchase_valid_count', 1, 12) }} as purchase_active_12m_months,
    {{ month_count('purchase_valid_count', 1, 24) }} as purchase_active_24m_months,
    {{ zero_months('seen_sale_counts') }} as sales_zero_12m_months,
    {{ zero_months('seen_purchase_counts') }} as purchase_zero_12m_months,
    {{ longest_zero_run('seen_sale_counts') }} as sales_longest_zero_run_12m_months
from sums
