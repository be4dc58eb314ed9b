{#
    Visit that counted the stock of a maker on the platform: stock seen by stock reported for the day; stock seen by what
    there should be, from the report of a quarter before, output since and goods shipped since; the largest rise of the
    reported stock above output in that quarter, by the stock before it. Goods that the visit's note says are another's
    are none of the firm's.
#}
with shipped as (
    select owner.enterprise_id, told.shipped_on as day, sum(told.quantity_units) as units
    from {{ fact('shipment') }} as told
    join {{ fact('first_owner') }} as owner on owner.department = 'platform' and owner.department_key = told.sender_member_id
    where told.known_on <= {{ days_after('told.shipped_on', 60) }}
    group by owner.enterprise_id, told.shipped_on
), seen as (
    select visit.enterprise_id, visit.visited_on, visit.stock_seen_units, {{ days_after('visit.visited_on', 62) }} as found_on,
        {# The least that the visit may have seen, by how sure its author was. #}
        visit.stock_seen_units / case when visit.confidence in ('high', 'medium') then 1.1 else 1.3 end as least_seen_units,
        case when visit.note like '%代管%' or visit.note like '%其他单位%' then 1 else 0 end as is_explained
    from {{ fact('visit') }} as visit
    where visit.stock_seen_units is not null and visit.known_on <= {{ days_after('visit.visited_on', 62) }}
), reports as (
    select seen.enterprise_id, seen.visited_on, seen.found_on, seen.stock_seen_units, seen.least_seen_units, seen.is_explained,
        max(case when report.day = seen.visited_on then report.finished_units end) as reported_units,
        max(case when report.day = seen.visited_on then report.output_so_far end) as output_at_visit,
        min_by(report.finished_units, report.day) as base_units, min_by(report.output_so_far, report.day) as output_at_base,
        min(report.day) as base_on, avg(report.output_units) as daily_output,
        max(report.output_units) as most_output, count(*) as report_days,
        max(case when report.finished_before >= 10 then report.rise_above_output / report.finished_before end) as reported_rise
    from seen
    join {{ fact('stock_day') }} as report on report.enterprise_id = seen.enterprise_id
        and report.day between {{ days_after('seen.visited_on', -90) }} and seen.visited_on
    group by seen.enterprise_id, seen.visited_on, seen.found_on, seen.stock_seen_units, seen.least_seen_units,
        seen.is_explained
), flows as (
    select reports.enterprise_id, reports.visited_on, sum(shipped.units) as shipped_units
    from reports join shipped on shipped.enterprise_id = reports.enterprise_id
        and shipped.day > reports.base_on and shipped.day <= reports.visited_on
    group by reports.enterprise_id, reports.visited_on
), judged as (
    select reports.*, {# Days without a report may have made as much as the best one. #}
        greatest(base_units + output_at_visit - output_at_base - coalesce(flows.shipped_units, 0) + most_output
            * ({{ days_between('reports.base_on', 'reports.visited_on') }} + 1 - report_days), 0) as expected_units
    from reports left join flows
        on flows.enterprise_id = reports.enterprise_id and flows.visited_on = reports.visited_on
    where reports.reported_units is not null and reports.daily_output > 0
        and reports.base_on <= {{ days_after('reports.visited_on', -20) }}
)
select enterprise_id, base_on as period_from, visited_on as period_to, found_on,
    case when is_explained = 1 then 1 else least_seen_units / greatest(reported_units, 5.0) end as seen_above_reported_stock,
    case when is_explained = 1 then 0
        else (greatest(least_seen_units, reported_units) - expected_units) / greatest(expected_units, 5.0) end as stock_against_flows,
    reported_rise
from judged
