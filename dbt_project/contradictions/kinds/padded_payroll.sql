{#
    Enterprise and month of wage runs: money that its owner brought in within eight days of a run, by the run's amount;
    heads paid against heads insured, seen at a visit within the year, and paid in the half-year before.
#}
with brought as (
    select payee_enterprise_id as enterprise_id, day, sum(amount_cny) as amount_cny
    from {{ fact('payment') }}
    where payer_kind = 'person' and purpose = 'capital' and payee_enterprise_id is not null and known_on <= closes_on
    group by payee_enterprise_id, day
), runs as (
    select run.enterprise_id, {{ month('run.paid_on') }} as month, run.closes_on, run.run_number, run.headcount,
        cast(run.amount_cny as double) as amount_cny, cast(sum(brought.amount_cny) as double) as back_cny
    from {{ fact('wage_run') }} as run
    left join brought on brought.enterprise_id = run.enterprise_id
        and brought.day > run.paid_on and brought.day <= {{ days_after('run.paid_on', 8) }}
    where run.known_on <= run.closes_on
    group by run.enterprise_id, {{ month('run.paid_on') }}, run.closes_on, run.run_number, run.headcount, run.amount_cny
), months as (
    select enterprise_id, month, closes_on, sum(headcount) as paid_heads, max(headcount) as largest_run,
        max(case when back_cny between 0.9 * amount_cny and 1.02 * amount_cny then back_cny / amount_cny end) as back_ratio
    from runs group by enterprise_id, month, closes_on
), seen as (
    select months.enterprise_id, months.month, max_by(visit.staff_seen, unix_date(visit.visited_on) * 100000 + visit.staff_seen) as staff_seen
    from months join {{ fact('visit') }} as visit on visit.enterprise_id = months.enterprise_id
        and visit.staff_seen is not null and visit.known_on <= months.closes_on
        and visit.visited_on between {{ days_after('months.month', -120) }} and {{ days_after('months.month', 60) }}
    group by months.enterprise_id, months.month
), spans as (
    select months.*, insured.insured, seen.staff_seen,
        count(back_ratio) over lately as times_back,
        avg(largest_run) over before as usual_heads
    from months
    left join {{ fact('insured') }} as insured on insured.enterprise_id = months.enterprise_id
        and insured.month = cast(add_months(months.month, -1) as date) and insured.closes_on <= months.closes_on
    left join seen on seen.enterprise_id = months.enterprise_id and seen.month = months.month
    window lately as (partition by months.enterprise_id order by months.month rows between 2 preceding and current row),
        before as (partition by months.enterprise_id order by months.month rows between 6 preceding and 1 preceding)
)
select enterprise_id, cast(add_months(month, -2) as date) as period_from, last_day(month) as period_to,
    closes_on as found_on,
    case when back_ratio is not null then cast(times_back as double) else 0 end as wages_come_back,
    {{ ratio('paid_heads', 'insured') }} as payroll_heads_above_insured,
    {{ ratio('paid_heads', 'staff_seen') }} as payroll_heads_above_seen,
    {{ ratio('paid_heads', 'usual_heads') }} as payroll_heads_above_before
from spans
