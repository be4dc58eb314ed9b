{{ config(materialized='ephemeral') }}

-- Grain: as_of × enterprise: who has a row of features. Whoever has issued or got an invoice, and whoever is registered,
-- as known at as_of.
with registered as (

    select distinct
        dates.as_of,
        enterprises.enterprise_id
    from {{ ref('stg_enterprise') }} as enterprises
    inner join {{ ref('int_as_of') }} as dates on enterprises.known_day <= dates.as_of

)

select
    as_of,
    enterprise_id,
    trunc(as_of, 'MM') as month_start,
    days.first_issued_on,
    coalesce(days.known_at_is_assumed, false) as known_at_is_assumed,
    cast(coalesce(
        greatest(months_between(trunc(as_of, 'MM'), trunc(days.first_issued_on, 'MM')), 0), 0
    ) as int) as history_months
from {{ ref('int_day_summary') }} as days
full outer join registered using (as_of, enterprise_id)
