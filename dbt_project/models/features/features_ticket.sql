-- Definitions: features_ticket.yml. Quantiles and maxima cannot be summed: they come from the single
-- invoices current at the asked dates.
with valid as (

    -- With each, when the buyer's record of the same invoice was known and valid.
    select
        enterprise_id,
        direction,
        issued_on,
        amount_fen,
        total_fen,
        is_red,
        known_day,
        superseded_day,
        collect_list(case when direction = 'purchase' then struct(known_day, superseded_day) end) over (
            partition by coalesce(invoice_number, invoice_id), issued_on, amount_fen
        ) as purchases
    from {{ ref('int_current_invoice') }}
    where
        is_valid
        {% if var('carried_from', {}) -%}
        and (direction = 'purchase' or enterprise_id in (select enterprise_id from {{ ref('int_enterprise_months') }}))
        {%- endif %}

),

placed as (

    select /*+ {{ parted_for_dates('enterprise_id, direction') }} */
        * except (purchases),
        case when direction = 'sale' then purchases end as purchases
    from valid
    where true {{ and_computed('enterprise_id') }}

),

invoices as (

    select
        dates.as_of,
        placed.enterprise_id,
        placed.direction,
        placed.amount_fen,
        not placed.is_red as is_blue,
        dayofmonth(placed.issued_on) >= 26 as is_month_end,
        dayofweek(placed.issued_on) in (1, 7) as is_weekend,
        placed.total_fen > 0 and placed.total_fen % 100000 = 0 as is_round,
        coalesce(exists(
            placed.purchases,
            bought -> bought.known_day <= dates.as_of
                and (bought.superseded_day is null or bought.superseded_day > dates.as_of)
        ), false) as is_matched
    from placed
    inner join {{ ref('int_as_of') }} as dates
        on placed.issued_on < dates.month_start
        and placed.issued_on >= add_months(dates.month_start, -12)
        and placed.known_day <= dates.as_of
        and (placed.superseded_day is null or placed.superseded_day > dates.as_of)
    {{ of_computed('placed.enterprise_id') }}

),

tickets as (

    select
        as_of,
        enterprise_id,
        direction,
        count(*) as valid_count,
        sum(amount_fen) as valid_fen,
        sum(abs(amount_fen)) as valid_abs_fen,
        max(amount_fen) as max_fen,
        count_if(is_blue) as blue_count,
        sum(case when is_blue then amount_fen else 0L end) as blue_fen,
        sum(case when is_blue then cast(amount_fen as decimal(19, 0)) * cast(amount_fen as decimal(19, 0)) end) as blue_squares,
        percentile(case when is_blue then amount_fen end, array(0.5, 0.9)) as blue_quantiles,
        count_if(is_blue and is_round) as round_count,
        count_if(amount_fen = 0) as zero_count,
        count_if(is_month_end) as month_end_count,
        sum(case when is_month_end then abs(amount_fen) else 0L end) as month_end_abs_fen,
        count_if(is_weekend) as weekend_count,
        sum(case when is_matched then abs(amount_fen) else 0L end) as matched_abs_fen
    from invoices
    group by as_of, enterprise_id, direction

),

sides as (

    select
        as_of,
        enterprise_id,
        {{ both_sides([
            'valid_count', 'valid_fen', 'valid_abs_fen', 'max_fen', 'blue_count', 'blue_fen', 'blue_squares',
            'blue_quantiles', 'round_count', 'zero_count', 'month_end_count', 'month_end_abs_fen', 'weekend_count',
            'matched_abs_fen'
        ]) }}
    from tickets
    group by as_of, enterprise_id

),

spine as (

    select as_of, enterprise_id from {{ ref('int_enterprise_months') }}

)

select
    spine.as_of,
    spine.enterprise_id,

    -- ticket
    {{ ratio('sides.sale_max_fen', 'sides.sale_valid_fen') }} as sales_ticket_max_12m_ratio,
    {{ ratio('sides.purchase_max_fen', 'sides.purchase_valid_fen') }} as purchase_ticket_max_12m_ratio,
    {{ ratio('sides.sale_blue_fen', 'sides.sale_blue_count') }} / 100.0D as sales_ticket_mean_12m_cny,
    sides.sale_blue_quantiles[0] / 100.0D as sales_ticket_median_12m_cny,
    sides.sale_blue_quantiles[1] / 100.0D as sales_ticket_p90_12m_cny,
    sides.purchase_blue_quantiles[0] / 100.0D as purchase_ticket_median_12m_cny,
    sqrt(cast(
        sides.sale_blue_count * sides.sale_blue_squares - cast(sides.sale_blue_fen as decimal(19, 0)) * cast(sides.sale_blue_fen as decimal(19, 0))
    as double)) / nullif(cast(sides.sale_blue_fen as double), 0.0D) as sales_ticket_cv_12m_ratio,
    {{ ratio('sides.sale_zero_count', 'sides.sale_valid_count') }} as sales_zero_amount_count_12m_ratio,

    -- timing
    {{ ratio('sides.sale_round_count', 'sides.sale_blue_count') }} as sales_round_count_12m_ratio,
    {{ ratio('sides.purchase_round_count', 'sides.purchase_blue_count') }} as purchase_round_count_12m_ratio,
    {{ ratio('sides.sale_month_end_count', 'sides.sale_valid_count') }} as sales_month_end_count_12m_ratio,
    {{ ratio('sides.sale_month_end_abs_fen', 'sides.sale_valid_abs_fen') }} as sales_month_end_amount_12m_ratio,
    {{ ratio('sides.sale_weekend_count', 'sides.sale_valid_count') }} as sales_weekend_count_12m_ratio,

    -- related
    {{ ratio('sides.sale_matched_abs_fen', 'sides.sale_valid_abs_fen') }} as related_trade_12m_ratio
from spine
left join sides on spine.as_of = sides.as_of and spine.enterprise_id = sides.enterprise_id
