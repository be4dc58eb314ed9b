{#
    One row per plot, year and month's end: the area that satellites measured in clear passes of that year so far, as
    known on the first day of the next month; from four passes on.
#}
with seen as (
    select plot_number, year(observed_on) as plot_year, observed_on, sensed_area_mu, {{ known_on('known_at') }} as known_on
    from {{ silver('plot_observation') }} where sensed_area_mu is not null
), days as (
    select distinct case when known_on = {{ month('known_on') }} then known_on
        else cast(add_months({{ month('known_on') }}, 1) as date) end as judged_on, plot_year
    from seen
)
select seen.plot_number, seen.plot_year, days.judged_on, count(*) as passes,
    cast(avg(seen.sensed_area_mu) as double) as sensed_mu, min(seen.observed_on) as first_seen_on
from seen join days on days.plot_year = seen.plot_year and seen.known_on <= days.judged_on
group by seen.plot_number, seen.plot_year, days.judged_on having count(*) >= 4
