-- Definitions: features_volume.yml.
{%- set windows = [3, 6, 12, 24] %}

with months as (

    select * from {{ ref('int_enterprise_months') }}

),

sums as (

    select
        as_of,
        enterprise_id,
        history_months,
        sale_valid_fen,
        purchase_valid_fen,
        {% for window in windows -%}
        {{ month_sum('sale_valid_fen', 1, window) }} as sales_{{ window }},
        {{ month_sum('purchase_valid_fen', 1, window) }} as purchases_{{ window }},
        {{ month_sum('sale_valid_count', 1, window) }} as sale_count_{{ window }},
        {{ month_sum('purchase_valid_count', 1, window) }} as purchase_count_{{ window }},
        {% endfor -%}
        {% for window in [3, 6, 12] -%}
        {{ month_sum('sale_valid_fen', 13, 12 + window) }} as sales_{{ window }}_year_ago,
        {{ month_sum('purchase_valid_fen', 13, 12 + window) }} as purchases_{{ window }}_year_ago,
        {% endfor -%}
        {{ month_sum('sale_valid_count', 13, 24) }} as sale_count_12_year_ago
    from months

)

select
    as_of,
    enterprise_id,

    -- scale
    {% for window in windows -%}
    {{ cny('sales_' ~ window) }} as sales_amount_{{ window }}m_cny,
    {{ cny('purchases_' ~ window) }} as purchase_amount_{{ window }}m_cny,
    {% endfor -%}
    {{ log_cny('sales_12') }} as sales_amount_12m_log,
    {{ log_cny('purchases_12') }} as purchase_amount_12m_log,
    sale_count_3 as sales_invoice_3m_count,
    sale_count_12 as sales_invoice_12m_count,
    purchase_count_3 as purchase_invoice_3m_count,
    purchase_count_12 as purchase_invoice_12m_count,
    {{ median_of_twelve('sale_valid_fen') }} / 100.0D as sales_month_median_12m_cny,

    -- growth
    {% for window in [12, 6, 3] -%}
    case when history_months >= {{ 12 + window }} then
        {{ symmetric_ratio('sales_' ~ window, 'sales_' ~ window ~ '_year_ago') }}
    end as sales_growth_{{ window }}m_ratio,
    {% endfor -%}
    case when history_months >= 24 then
        {{ symmetric_ratio('sale_count_12', 'sale_count_12_year_ago') }}
    end as sales_count_growth_12m_ratio,
    {% for window in [12, 6] -%}
    case when history_months >= {{ 12 + window }} then
        {{ symmetric_ratio('purchases_' ~ window, 'purchases_' ~ window ~ '_year_ago') }}
    end as purchase_growth_{{ window }}m_ratio,
    {% endfor -%}
    {{ ratio('sales_3', 'sales_12') }} as sales_recent_3m_to_12m_ratio,
    {{ ratio('sales_6', 'sales_12') }} as sales_recent_6m_to_12m_ratio,
    {{ ratio('purchases_3', 'purchases_12') }} as purchase_recent_3m_to_12m_ratio,

    -- trend
    case when history_months >= 12 then {{ log_slope('sale_valid_fen', 12) }} end as sales_log_trend_12m_ratio,
    case when history_months >= 24 then {{ log_slope('sale_valid_fen', 24) }} end as sales_log_trend_24m_ratio,
    case when history_months >= 12 then {{ log_slope('purchase_valid_fen', 12) }} end as purchase_log_trend_12m_ratio,
    case when history_months >= 12 then
        {{ relative_slope('sale_valid_fen', 'sales_12', 12) }}
    end as sales_linear_trend_12m_ratio,
    case when history_months >= 24 then
        {{ relative_slope('sale_valid_fen', 'sales_24', 24) }}
    end as sales_linear_trend_24m_ratio,
    case when history_months >= 12 then
        {{ relative_slope('purchase_valid_fen', 'purchases_12', 12) }}
    end as purchase_linear_trend_12m_ratio
from sums
