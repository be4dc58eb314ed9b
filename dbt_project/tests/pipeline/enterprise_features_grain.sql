-- One row per enterprise and as-of date, neither unknown; also of dates that were kept.
select as_of, enterprise_id, count(*) as row_count
from {{ ref('enterprise_features') }}
group by as_of, enterprise_id
having count(*) > 1 or as_of is null or enterprise_id is null
