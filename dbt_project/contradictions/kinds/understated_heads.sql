{#
    Enterprise and month: staff seen at the visits of two months around, heads in wage runs, and wages that left its
    account by those in its wage runs, each by heads insured or run; energy and invoices a head insured, by what they were
    in the year before.
#}
with insured as (
    select * from {{ fact('insured') }} where insured > 0
), runs as (
    select enterprise_id, month, sum(headcount) as paid_heads, cast(sum(amount_cny) as double) as run_cny
    from {{ fact('wage_run') }} where known_on <= closes_on group by enterprise_id, month
), left_as_wages as (
    select payer_enterprise_id as enterprise_id, cast(add_months(month, -1) as date) as month,
        cast(sum(amount_cny) as double) as wages_cny
    from {{ fact('payment') }} where purpose = 'wage' and payer_enterprise_id is not null and known_on <= closes_on
    group by payer_enterprise_id, cast(add_months(month, -1) as date)
), seen as (
    select insured.enterprise_id, insured.month, count(*) as visits,
        max_by(visit.staff_seen, unix_date(visit.visited_on) * 100000 + visit.staff_seen) as staff_seen
    from insured join {{ fact('visit') }} as visit on visit.enterprise_id = insured.enterprise_id
        and visit.staff_seen is not null and visit.known_on <= insured.closes_on
        and visit.visited_on between {{ days_after('insured.month', -45) }} and {{ days_after('insured.month', 61) }}
    group by insured.enterprise_id, insured.month
), months as (
    select insured.enterprise_id, insured.month, insured.closes_on, insured.insured, runs.paid_heads,
        {# Of three months, for wages that are paid late. #}
        sum(runs.run_cny) over lately as run_cny, sum(left_as_wages.wages_cny) over lately as wages_cny,
        seen.staff_seen, seen.visits, used.energy_kwh / insured.insured as energy_a_head,
        avg(used.energy_kwh / insured.insured) over before as usual_energy_a_head,
        avg(insured.insured) over before as usual_insured, count(*) over before as months_before
    from insured
    left join runs on runs.enterprise_id = insured.enterprise_id and runs.month = insured.month
    left join left_as_wages on left_as_wages.enterprise_id = insured.enterprise_id and left_as_wages.month = insured.month
    left join seen on seen.enterprise_id = insured.enterprise_id and seen.month = insured.month
    left join {{ fact('metered') }} as used on used.enterprise_id = insured.enterprise_id and used.month = insured.month
    window before as (partition by insured.enterprise_id order by insured.month rows between 12 preceding and 1 preceding),
        lately as (partition by insured.enterprise_id order by insured.month rows between 2 preceding and current row)
)
select enterprise_id, month as period_from, last_day(month) as period_to, closes_on as found_on,
    case when staff_seen >= insured + 3 then {{ ratio('staff_seen', 'insured') }} else 1 end as visit_heads_above_insured,
    case when paid_heads >= insured + 2 then {{ ratio('paid_heads', 'insured') }} else 1 end as payroll_heads_above_insured,
    {{ ratio('wages_cny', 'run_cny') }} as wages_above_runs,
    case when months_before >= 3 and insured <= 0.8 * usual_insured and insured <= usual_insured - 2
        then {{ ratio('energy_a_head', 'usual_energy_a_head') }} end as output_per_insured_head
from months
