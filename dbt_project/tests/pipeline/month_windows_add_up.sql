-- The 24-month sums of every firm, summed by date, are those of the flow base; shorter windows nest in longer ones.
with from_flow as (

    select
        dates.as_of,
        sum(case when flow.direction = 'sale' then flow.valid_fen else 0L end) as sales_fen,
        sum(case when flow.direction = 'purchase' then flow.valid_fen else 0L end) as purchases_fen
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join {{ ref('int_as_of') }} as dates
        on flow.known_day <= dates.as_of
        and flow.event_day < dates.month_start
        and flow.event_day >= add_months(dates.month_start, -24)
    group by dates.as_of

),

from_features as (

    select
        as_of,
        sum(cast(round(sales_amount_24m_cny * 100) as bigint)) as sales_fen,
        sum(cast(round(purchase_amount_24m_cny * 100) as bigint)) as purchases_fen,
        count_if(sales_invoice_3m_count > sales_invoice_12m_count) as shrinking_windows,
        count_if(sales_active_12m_months > sales_active_24m_months) as shrinking_months,
        count_if(customer_3m_count > customer_12m_count or supplier_3m_count > supplier_12m_count) as shrinking_partners
    from {{ ref('enterprise_features') }}
    where as_of in (select as_of from {{ ref('int_as_of') }})
    group by as_of

)

select *
from from_features
left join from_flow using (as_of)
where
    from_features.sales_fen <> coalesce(from_flow.sales_fen, 0L)
    or from_features.purchases_fen <> coalesce(from_flow.purchases_fen, 0L)
    or shrinking_windows + shrinking_months + shrinking_partners > 0
