-- The months of the firms of whom they are computed are those of the flow base, where bases are kept another one of the
-- last 24 each day; the sums of 24 months are those of the months; shorter windows nest in longer ones.
{%- set latest = var('as_of_dates') | map('string') | max %}
with flow_months as (

    select
        dates.as_of,
        dates.month_serial - year(flow.event_day) * 12 - month(flow.event_day) as month_no,
        sum(case when flow.direction = 'sale' then flow.valid_fen else 0L end) as sales_fen,
        sum(case when flow.direction = 'purchase' then flow.valid_fen else 0L end) as purchases_fen
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join {{ ref('int_as_of') }} as dates
        on flow.known_day <= dates.as_of
        and flow.event_day < dates.month_start
        and flow.event_day >= add_months(dates.month_start, -24)
    {{ of_computed('flow.enterprise_id') }}
    where {{ month_in_turn('flow.event_day', latest, 25) }} and {{ within_reach('flow.event_day', 24) }}
    group by dates.as_of, dates.month_serial - year(flow.event_day) * 12 - month(flow.event_day)

),

firm_months as (

    select
        as_of,
        place + 1 as month_no,
        sum(fen.sale_valid_fen) as sales_fen,
        sum(fen.purchase_valid_fen) as purchases_fen
    from (
        select as_of, posexplode(arrays_zip(sale_valid_fen, purchase_valid_fen)) as (place, fen)
        from {{ ref('int_enterprise_months') }}
    )
    group by as_of, place + 1

),

from_features as (

    select
        built.as_of,
        sum(cast(round(sales_amount_24m_cny * 100) as bigint)) as sales_fen,
        sum(cast(round(purchase_amount_24m_cny * 100) as bigint)) as purchases_fen,
        count_if(sales_invoice_3m_count > sales_invoice_12m_count) as shrinking_windows,
        count_if(sales_active_12m_months > sales_active_24m_months) as shrinking_months,
        count_if(customer_3m_count > customer_12m_count or supplier_3m_count > supplier_12m_count) as shrinking_partners
    from {{ ref('enterprise_features') }} as built
    {{ of_computed('built.enterprise_id', 'built.as_of') }}
    where built.as_of in (select as_of from {{ ref('int_as_of') }})
    group by built.as_of

)

select
    as_of,
    cast(month_no as string) as what
from flow_months
full outer join (
    select * from firm_months where {{ month_in_turn("add_months(trunc(as_of, 'MM'), -month_no)", latest, 25) }}
) as firms using (as_of, month_no)
where
    coalesce(flow_months.sales_fen, 0L) <> coalesce(firms.sales_fen, 0L)
    or coalesce(flow_months.purchases_fen, 0L) <> coalesce(firms.purchases_fen, 0L)

union all

select
    as_of,
    'all months' as what
from from_features
left join (
    select as_of, sum(sales_fen) as sales_fen, sum(purchases_fen) as purchases_fen from firm_months group by as_of
) as months using (as_of)
where
    from_features.sales_fen <> coalesce(months.sales_fen, 0L)
    or from_features.purchases_fen <> coalesce(months.purchases_fen, 0L)
    or shrinking_windows + shrinking_months + shrinking_partners > 0
