{{ config(enabled=var('carried_from', {}) | length > 0) }}

-- Windows that would have been carried on, computed all the same of the firms whose turn it is, are what they were at the
-- earlier date; and no firm is without windows.
{%- set dates = var('carried_from').values() | map('string') | unique if var('carried_from', {}) else [] %}
with computed as (

    select carried.carried_from as as_of, built.* except (as_of, {{ not_carried() }})
    from {{ ref('enterprise_features') }} as built
    inner join {{ ref('int_carried') }} as carried
        on built.as_of = carried.as_of and built.enterprise_id = carried.enterprise_id
    where carried.in_turn

),

held as (

    select as_of, enterprise_id, * except (as_of, enterprise_id, {{ not_carried() }})
    from {{ var('features_held', '') }}
    where {{ date_slice(dates) }}

)

select as_of, enterprise_id, 'carried on it would differ' as what
from (select * from computed except select * from held)

union all

select as_of, enterprise_id, 'no windows' as what
from {{ ref('enterprise_features') }}
where sales_invoice_12m_count is null and as_of in (select as_of from {{ ref('int_as_of') }})
