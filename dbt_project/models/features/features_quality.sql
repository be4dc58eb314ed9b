-- Definitions: features_quality.yml.
with months as (

    select * from {{ ref('int_enterprise_months') }}

),

sums as (

    select
        as_of,
        enterprise_id,
        history_months,
        sale_valid_fen,
        sale_tax_fen,
        sale_void_count,
        sale_red_count,
        purchase_valid_fen,
        purchase_tax_fen,
        {% for side in ['sale', 'purchase'] -%}
        {% for measure in ['valid_count', 'valid_fen', 'valid_abs_fen', 'tax_fen', 'red_count', 'red_abs_fen', 'void_count', 'void_abs_fen'] -%}
        {% for window in [3, 12, 24] -%}
        {{ month_sum(side ~ '_' ~ measure, 1, window) }} as {{ side }}_{{ measure }}_{{ window }},
        {% endfor %}{% endfor -%}
        {{ month_sum(side ~ '_valid_fen', 13, 24) }} as {{ side }}_valid_fen_year_ago,
        {% endfor -%}
        {{ month_sum('sale_late_red_abs_fen', 1, 12) }} as sale_late_red_abs_fen_12,
        {{ month_sum('sale_untaxed_abs_fen', 1, 12) }} as sale_untaxed_abs_fen_12
    from months

)

select
    as_of,
    enterprise_id,

    -- void
    {% for name, side, window in [('sales', 'sale', 12), ('sales', 'sale', 24), ('purchase', 'purchase', 12)] -%}
    {{ ratio(
        side ~ '_void_abs_fen_' ~ window,
        '(' ~ side ~ '_void_abs_fen_' ~ window ~ ' + ' ~ side ~ '_valid_abs_fen_' ~ window ~ ')'
    ) }} as {{ name }}_void_amount_{{ window }}m_ratio,
    {% endfor -%}
    {% for name, side, window in [
        ('sales', 'sale', 3), ('sales', 'sale', 12), ('sales', 'sale', 24), ('purchase', 'purchase', 12), ('purchase', 'purchase', 24)
    ] -%}
    {{ ratio(
        side ~ '_void_count_' ~ window,
        '(' ~ side ~ '_void_count_' ~ window ~ ' + ' ~ side ~ '_valid_count_' ~ window ~ ')'
    ) }} as {{ name }}_void_count_{{ window }}m_ratio,
    {% endfor -%}
    {{ month_count('sale_void_count', 1, 12) }} as sales_void_12m_months,
    {{ ratio(
        '(sale_void_count_12 + sale_red_count_12)', '(sale_void_count_12 + sale_valid_count_12)'
    ) }} as sales_void_or_red_count_12m_ratio,

    -- red letter
    {% for name, side, window in [('sales', 'sale', 12), ('sales', 'sale', 24), ('purchase', 'purchase', 12)] -%}
    {{ ratio(
        side ~ '_red_abs_fen_' ~ window,
        '(' ~ side ~ '_valid_abs_fen_' ~ window ~ ' - ' ~ side ~ '_red_abs_fen_' ~ window ~ ')'
    ) }} as {{ name }}_red_amount_{{ window }}m_ratio,
    {{ ratio(
        side ~ '_red_count_' ~ window, side ~ '_valid_count_' ~ window
    ) }} as {{ name }}_red_count_{{ window }}m_ratio,
    {% endfor -%}
    {{ month_count('sale_red_count', 1, 12) }} as sales_red_12m_months,
    {{ ratio(
        'sale_late_red_abs_fen_12', '(sale_valid_abs_fen_12 - sale_red_abs_fen_12)'
    ) }} as sales_red_late_amount_12m_ratio,

    -- balance, margin
    {% for window in [3, 12, 24] -%}
    {{ ratio('purchase_valid_fen_' ~ window, 'sale_valid_fen_' ~ window) }} as purchase_to_sales_{{ window }}m_ratio,
    {% endfor -%}
    {{ cny('(sale_valid_fen_12 - purchase_valid_fen_12)') }} as sales_minus_purchase_12m_cny,
    {{ symmetric_ratio('sale_valid_fen_12', 'purchase_valid_fen_12') }} as sales_purchase_balance_12m_ratio,
    size(filter(
        zip_with(slice(sale_valid_fen, 1, 12), slice(purchase_valid_fen, 1, 12), (s, p) -> p > s), over -> over
    )) as purchase_over_sales_12m_months,
    case when history_months >= 24 then
        {{ ratio('purchase_valid_fen_12', 'sale_valid_fen_12') }}
        - {{ ratio('purchase_valid_fen_year_ago', 'sale_valid_fen_year_ago') }}
    end as purchase_to_sales_change_24m_ratio,
    case when history_months >= 12 then
        {{ correlation('slice(sale_valid_fen, 1, 12)', 'slice(purchase_valid_fen, 1, 12)', 12) }}
    end as sales_purchase_correlation_12m_ratio,

    -- tax
    {{ cny('sale_tax_fen_12') }} as sales_tax_12m_cny,
    {{ cny('purchase_tax_fen_12') }} as purchase_tax_12m_cny,
    {% for window in [12, 24] -%}
    {{ ratio(
        '(sale_tax_fen_' ~ window ~ ' - purchase_tax_fen_' ~ window ~ ')', 'sale_valid_fen_' ~ window
    ) }} as vat_gap_{{ window }}m_ratio,
    {% endfor -%}
    {{ ratio('sale_tax_fen_12', 'sale_valid_fen_12') }} as sales_tax_rate_12m_ratio,
    {{ ratio('purchase_tax_fen_12', 'purchase_valid_fen_12') }} as purchase_tax_rate_12m_ratio,
    {{ ratio('sale_untaxed_abs_fen_12', 'sale_valid_abs_fen_12') }} as sales_untaxed_amount_12m_ratio,
    size(filter(
        zip_with(slice(sale_tax_fen, 1, 12), slice(purchase_tax_fen, 1, 12), (s, p) -> s > p), over -> over
    )) as vat_gap_positive_12m_months
from sums
