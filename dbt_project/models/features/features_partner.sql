-- Definitions: features_partner.yml.
with reached as (

    select /*+ {{ parted_for_dates('enterprise_id, direction') }} */ *
    from {{ ref('enterprise_pair_monthly') }}
    where
        counterparty_id is not null
        and {{ within_reach('event_month', 24) }}
        {{ and_computed('enterprise_id') }}

),

states as (

    -- What is known of a pair's month from one day on, until another (NULL: the last).
    select
        enterprise_id,
        direction,
        counterparty_id,
        event_month,
        counts_from,
        lead(counts_from) over the_month as counts_until,
        sum(valid_count) over the_month as valid_count,
        sum(valid_fen) over the_month as valid_fen
    from reached
    window the_month as (partition by enterprise_id, direction, counterparty_id, event_month order by counts_from)

),

pair_months as (

    select
        dates.as_of,
        states.enterprise_id,
        states.direction,
        states.counterparty_id,
        dates.month_serial - year(states.event_month) * 12 - month(states.event_month) as month_no,
        states.valid_fen
    from states
    inner join {{ ref('int_as_of') }} as dates
        on states.counts_from <= dates.as_of
        and (states.counts_until is null or states.counts_until > dates.as_of)
        and states.event_month < dates.month_start
        and states.event_month >= add_months(dates.month_start, -24)
    {{ of_computed('states.enterprise_id') }}
    where states.valid_count > 0

),

-- Grain from here: as_of × enterprise × direction × counterparty.
partners as (

    select
        as_of,
        enterprise_id,
        direction,
        counterparty_id,
        count(case when month_no <= 12 then 1 end) as active_months,
        max(month_no <= 3) as is_recent,
        max(month_no <= 12) as is_now,
        max(month_no > 12) as was_before,
        greatest(sum(case when month_no <= 12 then valid_fen else 0L end), 0L) as fen,
        greatest(sum(case when month_no > 12 then valid_fen else 0L end), 0L) as fen_before
    from pair_months
    group by as_of, enterprise_id, direction, counterparty_id

),

summary as (

    select
        as_of,
        enterprise_id,
        direction,
        count_if(is_now) as partners,
        count_if(is_recent) as recent_partners,
        count_if(active_months >= 2) as repeat_partners,
        count_if(was_before) as partners_before,
        count_if(was_before and is_now) as kept_partners,
        count_if(is_now and not was_before) as new_partners,
        sum(fen) as fen,
        max(fen) as top1_fen,
        aggregate(slice(sort_array(collect_list(fen), false), 1, 5), 0L, (total, x) -> total + x) as top5_fen,
        sum(cast(fen as decimal(19, 0)) * cast(fen as decimal(19, 0))) as fen_squares,
        sum(fen_before) as fen_before,
        sum(case when is_now then fen_before else 0L end) as kept_fen_before,
        sum(case when not was_before then fen else 0L end) as new_fen
    from partners
    group by as_of, enterprise_id, direction

),

sides as (

    select
        as_of,
        enterprise_id,
        {{ both_sides([
            'partners', 'recent_partners', 'repeat_partners', 'partners_before', 'kept_partners', 'new_partners', 'fen',
            'top1_fen', 'top5_fen', 'fen_squares', 'fen_before', 'kept_fen_before', 'new_fen'
        ]) }}
    from summary
    group by as_of, enterprise_id

),

spine as (

    select as_of, enterprise_id, history_months from {{ ref('int_enterprise_months') }}

)

select
    spine.as_of,
    spine.enterprise_id,
    {% for partner, side in [('customer', 'sale'), ('supplier', 'purchase')] %}
    coalesce(sides.{{ side }}_partners, 0L) as {{ partner }}_12m_count,
    coalesce(sides.{{ side }}_recent_partners, 0L) as {{ partner }}_3m_count,
    ln(1.0D + coalesce(sides.{{ side }}_partners, 0L)) as {{ partner }}_12m_log,
    {{ ratio('sides.' ~ side ~ '_top1_fen', 'sides.' ~ side ~ '_fen') }} as {{ partner }}_top1_12m_ratio,
    {{ ratio('sides.' ~ side ~ '_top5_fen', 'sides.' ~ side ~ '_fen') }} as {{ partner }}_top5_12m_ratio,
    cast(sides.{{ side }}_fen_squares as double)
        / pow(case when sides.{{ side }}_fen > 0 then cast(sides.{{ side }}_fen as double) end, 2) as {{ partner }}_hhi_12m_ratio,
    {{ ratio('sides.' ~ side ~ '_repeat_partners', 'sides.' ~ side ~ '_partners') }} as {{ partner }}_repeat_12m_ratio,
    case when spine.history_months >= 24 then
        {{ ratio('sides.' ~ side ~ '_kept_partners', 'sides.' ~ side ~ '_partners_before') }}
    end as {{ partner }}_retention_24m_ratio,
    case when spine.history_months >= 24 then
        {{ ratio('sides.' ~ side ~ '_kept_fen_before', 'sides.' ~ side ~ '_fen_before') }}
    end as {{ partner }}_retention_value_24m_ratio,
    case when spine.history_months >= 24 then
        {{ ratio('sides.' ~ side ~ '_new_fen', 'sides.' ~ side ~ '_fen') }}
    end as new_{{ partner }}_share_24m_ratio,
    case when spine.history_months >= 24 then
        coalesce(sides.{{ side }}_new_partners, 0L)
    end as new_{{ partner }}_24m_count,
    {% endfor %}
    {{ ratio('sides.sale_recent_partners', 'sides.sale_partners') }} as customer_3m_to_12m_ratio
from spine
left join sides on spine.as_of = sides.as_of and spine.enterprise_id = sides.enterprise_id
