{#
    Farm plot, year and month: area claimed by area measured from above so far; by area registered; by the area claimed
    for the year before; and area claimed by area measured in the year before.
#}
with claims as (
    select told.*, coalesce(told.replaced_on, date '9999-01-01') as until_on
    from {{ versions('land_plot') }} as told where told.land_use = 'farm' and told.claimed_area_mu is not null
), last_seen as (
    select plot_number, plot_year, max_by(sensed_mu, judged_on) as sensed_mu, max(judged_on) as known_on
    from {{ fact('plot_seen') }} group by plot_number, plot_year
), judged as (
    select claim.plot_number, claim.holder_number, claim.plot_year, seen.judged_on, seen.sensed_mu,
        cast(claim.claimed_area_mu as double) as claimed_mu, cast(claim.registered_area_mu as double) as registered_mu,
        cast(before.claimed_area_mu as double) as claimed_before_mu, last_seen.sensed_mu as sensed_before_mu
    from claims as claim
    join {{ fact('plot_seen') }} as seen on seen.plot_number = claim.plot_number and seen.plot_year = claim.plot_year
        and claim.known_on <= seen.judged_on and claim.until_on > seen.judged_on
    left join claims as before on before.plot_number = claim.plot_number and before.plot_year = claim.plot_year - 1
        and before.known_on <= seen.judged_on and before.until_on > seen.judged_on
    left join last_seen on last_seen.plot_number = claim.plot_number and last_seen.plot_year = claim.plot_year - 1
        and last_seen.known_on <= seen.judged_on
)
select owner.enterprise_id, make_date(judged.plot_year, 1, 1) as period_from, judged.judged_on as period_to,
    judged.judged_on as found_on, {{ ratio('judged.claimed_mu', 'judged.sensed_mu') }} as claimed_above_sensed,
    {{ ratio('judged.claimed_mu', 'judged.registered_mu') }} as claimed_above_registered,
    {{ ratio('judged.claimed_mu', 'judged.claimed_before_mu') }} as claimed_above_before,
    {{ ratio('judged.claimed_mu', 'judged.sensed_before_mu') }} as claimed_above_sensed_before
from judged
{{ owner('land', 'judged.holder_number', 'judged.judged_on', 'owner') }}
