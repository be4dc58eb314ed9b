-- Grain: as_of × enterprise whose windows of full months are computed; all of int_spine but those that are carried on
-- (int_carried). Arrays of 24 monthly integers as known at as_of, the last full month first; months without activity
-- hold 0.
{%- set measures = [
    'valid_count', 'valid_fen', 'valid_abs_fen', 'tax_fen', 'untaxed_abs_fen', 'red_count', 'red_abs_fen',
    'late_red_abs_fen', 'void_count', 'void_abs_fen',
] %}

with spine as (

    select spine.as_of, spine.enterprise_id, spine.history_months, spine.month_start
    from {{ ref('int_spine') }} as spine
    {% if var('carried_from', {}) -%}
    left join (select * from {{ ref('int_carried') }} where not in_turn) as carried
        on spine.as_of = carried.as_of and spine.enterprise_id = carried.enterprise_id
    where carried.enterprise_id is null
    {%- endif %}

),

-- Rows are summed by the day from which on they count first; then these disjoint bands, far fewer, are handed to the
-- dates whose windows have them.
bands as (

    select
        flow.enterprise_id,
        flow.direction,
        year(flow.event_day) * 12 + month(flow.event_day) as event_month,
        {{ counts_from('flow.event_day', 'flow.known_day') }} as counts_from,
        {% for measure in measures -%}
        sum(flow.{{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('enterprise_flow_daily') }} as flow
    where
        {{ within_reach('flow.event_day', 24) }}
        {% if var('carried_from', {}) -%}
        and flow.enterprise_id in (select enterprise_id from spine)
        {%- endif %}
    group by 1, 2, 3, 4

),

expanded as (

    select
        dates.as_of,
        dates.month_serial - bands.event_month as month_no,
        bands.*
    from (select /*+ {{ parted_for_dates('enterprise_id') }} */ * from bands) as bands
    inner join {{ ref('int_as_of') }} as dates
        on bands.counts_from <= dates.as_of
        and bands.event_month between dates.month_serial - 24 and dates.month_serial - 1

),

months as (

    select
        as_of,
        enterprise_id,
        direction,
        month_no,
        {% for measure in measures -%}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from expanded
    group by as_of, enterprise_id, direction, month_no

),

by_enterprise as (

    select
        as_of,
        enterprise_id,
        {% for direction in ['sale', 'purchase'] -%}
        map_from_entries(
            collect_list(struct(month_no, struct({{ measures | join(', ') }})))
                filter (where direction = '{{ direction }}')
        ) as {{ direction }}{{ ',' if not loop.last }}
        {% endfor %}
    from months
    group by as_of, enterprise_id

),

-- Looked up once per month, not once per month and measure.
dense as (

    select
        as_of,
        enterprise_id,
        transform(sequence(1, 24), k -> try_element_at(sale, k)) as sale,
        transform(sequence(1, 24), k -> try_element_at(purchase, k)) as purchase
    from by_enterprise

)

select
    spine.as_of,
    spine.enterprise_id,
    spine.month_start,
    spine.history_months,
    {% for direction in ['sale', 'purchase'] %}{% for measure in measures -%}
    coalesce(
        transform(dense.{{ direction }}, sums -> coalesce(sums.{{ measure }}, 0L)), array_repeat(0L, 24)
    ) as {{ direction }}_{{ measure }}{{ ',' if not (loop.last and direction == 'purchase') }}
    {% endfor %}{% endfor %}
from spine
left join dense using (as_of, enterprise_id)
