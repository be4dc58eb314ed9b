{#
    One row per enterprise and day of the platform's reports: finished stock, and by how much it rose above the day's
    output since the report before (of at most four days ago).
#}
select enterprise_id, day, closes_on, finished_units, output_units,
    sum(output_units) over so_far as output_so_far,
    case when (unix_date(day) - unix_date(lag(day) over in_order)) <= 4
        then finished_units - (lag(finished_units) over in_order) - output_units * (unix_date(day) - unix_date(lag(day) over in_order)) end
        as rise_above_output,
    lag(finished_units) over in_order as finished_before
from {{ fact('production') }}
window in_order as (partition by enterprise_id order by day),
    so_far as (partition by enterprise_id order by day rows unbounded preceding)
