{# One row per enterprise and month: insured heads over all its employer numbers, as known when the month closed. #}
select owner.enterprise_id, told.period_start as month, {{ closes_on('told.period_start') }} as closes_on,
    sum(told.insured_persons) as insured
from {{ versions('social_insurance_contribution') }} as told
{{ owner('social_insurance', 'told.employer_number', closes_on('told.period_start'), 'owner') }}
where owner.enterprise_id is not null and {{ stands_on('told', closes_on('told.period_start')) }}
group by owner.enterprise_id, told.period_start
