-- What the signed daily sums say is known at the latest asked date equals silver as known then; where bases are kept, of
-- another month each day, within sixty days of all.
{%- set latest = var('as_of_dates') | map('string') | max %}
with dates as (

    select * from {{ ref('int_as_of') }} where as_of = date '{{ latest }}'

),

from_silver as (

    select
        date '{{ latest }}' as as_of,
        enterprise_id,
        direction,
        count(*) as invoice_count,
        count_if(is_valid) as valid_count,
        sum(case when is_valid then amount_fen else 0L end) as valid_fen,
        sum(case when is_valid then tax_fen else 0L end) as tax_fen,
        sum(case when not is_valid then abs(amount_fen) else 0L end) as void_abs_fen
    from {{ ref('stg_vat_invoice') }}
    where
        known_day <= date '{{ latest }}'
        and (superseded_day is null or superseded_day > date '{{ latest }}')
        and issued_on < date '{{ latest }}'
        and {{ month_in_turn('issued_on', latest, 60) }}
    group by enterprise_id, direction

),

from_flow as (

    select
        dates.as_of,
        flow.enterprise_id,
        flow.direction,
        sum(flow.invoice_count) as invoice_count,
        sum(flow.valid_count) as valid_count,
        sum(flow.valid_fen) as valid_fen,
        sum(flow.tax_fen) as tax_fen,
        sum(flow.void_abs_fen) as void_abs_fen
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join dates
        on flow.known_day <= dates.as_of and flow.event_day < dates.as_of
    where {{ month_in_turn('flow.event_day', latest, 60) }}
    group by dates.as_of, flow.enterprise_id, flow.direction

)

select *
from from_silver
full outer join from_flow using (as_of, enterprise_id, direction)
where
    not (from_silver.invoice_count <=> from_flow.invoice_count)
    or not (from_silver.valid_count <=> from_flow.valid_count)
    or not (from_silver.valid_fen <=> from_flow.valid_fen)
    or not (from_silver.tax_fen <=> from_flow.tax_fen)
    or not (from_silver.void_abs_fen <=> from_flow.void_abs_fen)
