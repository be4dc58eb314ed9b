-- Grain: as_of × enterprise (the spine of every feature model). Arrays of 24 monthly integers as known at
-- as_of, the last full month first; months without activity hold 0.
{%- set measures = [
    'valid_count', 'valid_fen', 'valid_abs_fen', 'tax_fen', 'untaxed_abs_fen', 'red_count', 'red_abs_fen',
    'late_red_abs_fen', 'void_count', 'void_abs_fen',
] %}

with histories as (

    select
        as_of,
        enterprise_id,
        min(first_issued_on) as first_issued_on,
        max(known_at_is_assumed) as known_at_is_assumed
    from {{ ref('int_day_summary') }}
    group by as_of, enterprise_id

),

registered as (

    select distinct
        dates.as_of,
        enterprises.enterprise_id
    from {{ ref('stg_enterprise') }} as enterprises
    inner join {{ ref('int_as_of') }} as dates on enterprises.known_day <= dates.as_of

),

spine as (

    select
        as_of,
        enterprise_id,
        trunc(as_of, 'MM') as month_start,
        histories.first_issued_on,
        coalesce(histories.known_at_is_assumed, false) as known_at_is_assumed
    from histories
    full outer join registered using (as_of, enterprise_id)

),

months as (

    select
        dates.as_of,
        flow.enterprise_id,
        flow.direction,
        dates.month_serial - year(flow.event_day) * 12 - month(flow.event_day) as month_no,
        {% for measure in measures -%}
        sum(flow.{{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join {{ ref('int_as_of') }} as dates
        on flow.known_day <= dates.as_of
        and flow.event_day < dates.month_start
        and flow.event_day >= add_months(dates.month_start, -24)
    group by
        dates.as_of, flow.enterprise_id, flow.direction,
        dates.month_serial - year(flow.event_day) * 12 - month(flow.event_day)

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

)

select
    spine.as_of,
    spine.enterprise_id,
    spine.month_start,
    spine.first_issued_on,
    spine.known_at_is_assumed,
    cast(coalesce(
        greatest(months_between(spine.month_start, trunc(spine.first_issued_on, 'MM')), 0), 0
    ) as int) as history_months,
    {% for direction in ['sale', 'purchase'] %}{% for measure in measures -%}
    transform(
        sequence(1, 24), k -> coalesce(try_element_at(by_enterprise.{{ direction }}, k).{{ measure }}, 0L)
    ) as {{ direction }}_{{ measure }}{{ ',' if not (loop.last and direction == 'purchase') }}
    {% endfor %}{% endfor %}
from spine
left join by_enterprise using (as_of, enterprise_id)
