-- One row per enterprise and as-of date, neither unknown, and only for asked dates.
select as_of, enterprise_id, count(*) as row_count
from {{ ref('enterprise_features') }}
group by as_of, enterprise_id
having
    count(*) > 1
    or as_of is null
    or enterprise_id is null
    or as_of not in (select as_of from {{ ref('int_as_of') }})
