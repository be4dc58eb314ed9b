{# One row per wage run: whom it was for, and what; the month that it pays for closes when the run's own month does. #}
select holder.enterprise_id, told.run_number, told.period_start as month, told.paid_on,
    {{ closes_on('told.paid_on') }} as closes_on, told.headcount, told.amount_cny,
    greatest({{ known_on('told.known_at') }}, holder.known_on) as known_on
from {{ silver('payroll_run') }} as told
join {{ fact('holder') }} as holder on holder.account_number = told.account_number
where holder.enterprise_id is not null
