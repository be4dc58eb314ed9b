{#
    Enterprise with connected machines, and month: output that they reported by energy on the meters, by goods shipped in
    three months, and by the machines' own energy, each by what it was in the year before; variation of output from day to
    day by what it was.
#}
with months as (
    select enterprise_id, month, closes_on, sum(output_units) as output_units, sum(energy_kwh) as own_kwh,
        count(*) as days, {{ ratio('stddev_samp(output_units)', 'avg(output_units)') }} as variation
    from {{ fact('machine_day') }} group by enterprise_id, month, closes_on
), joined as (
    select months.*, {{ ratio('used.energy_kwh', 'used.days') }} * months.days as metered_kwh,
        coalesce(sent.shipped_units, 0) as shipped_units
    from months
    left join {{ fact('metered') }} as used on used.enterprise_id = months.enterprise_id and used.month = months.month
    left join {{ fact('shipped_month') }} as sent
        on sent.enterprise_id = months.enterprise_id and sent.month = months.month
), spans as (
    select *, {{ ratio('sum(output_units) over before', 'sum(metered_kwh) over before') }} as usual_a_kwh,
        {{ ratio('sum(output_units) over before', 'sum(own_kwh) over before') }} as usual_a_own_kwh,
        sum(output_units) over lately as output_lately, sum(shipped_units) over lately as shipped_lately,
        sum(output_units) over long_before as output_before, sum(shipped_units) over long_before as shipped_before,
        avg(variation) over before as usual_variation, count(*) over before as months_before,
        count(*) over long_before as long_months_before
    from joined
    window before as (partition by enterprise_id order by month rows between 12 preceding and 1 preceding),
        lately as (partition by enterprise_id order by month rows between 1 preceding and current row),
        long_before as (partition by enterprise_id order by month rows between 14 preceding and 2 preceding)
)
select enterprise_id, month as period_from, last_day(month) as period_to, closes_on as found_on,
    case when months_before >= 2 then {{ ratio('output_units', 'metered_kwh * usual_a_kwh') }} end as output_against_metered_energy,
    case when long_months_before >= 2 and shipped_before > 0 and shipped_lately > 0
        then {{ ratio('output_lately * shipped_before', 'output_before * shipped_lately') }} end as output_against_deliveries,
    case when months_before >= 2 then {{ ratio('output_units', 'own_kwh * usual_a_own_kwh') }} end as output_against_own_energy,
    variation as constant_pattern
from spans where days >= 20
