-- What the signed daily sums say is known at the latest asked date equals the current versions in silver.
with dates as (

    select * from {{ ref('int_as_of') }} where as_of = date '{{ var('as_of_dates') | map('string') | max }}'

),

current_versions as (

    select
        dates.as_of,
        invoices.enterprise_id,
        invoices.direction,
        max_by(struct(invoices.is_valid, invoices.amount_fen, invoices.tax_fen), invoices.version_no) as state
    from {{ ref('stg_vat_invoice') }} as invoices
    inner join dates
        on invoices.known_day <= dates.as_of and invoices.issued_on < dates.as_of
    group by dates.as_of, invoices.enterprise_id, invoices.direction, invoices.invoice_id

),

from_silver as (

    select
        as_of,
        enterprise_id,
        direction,
        count(*) as invoice_count,
        count_if(state.is_valid) as valid_count,
        sum(case when state.is_valid then state.amount_fen else 0L end) as valid_fen,
        sum(case when state.is_valid then state.tax_fen else 0L end) as tax_fen,
        sum(case when not state.is_valid then abs(state.amount_fen) else 0L end) as void_abs_fen
    from current_versions
    group by as_of, enterprise_id, direction

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
