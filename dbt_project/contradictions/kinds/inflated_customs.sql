{#
    Exporter and month: value declared without an invoice of that amount; value declared by what it invoiced to firms
    elsewhere, and price and quantity of a declaration, each by what they were in the year before.
#}
with months as (
    select enterprise_id, month, closes_on, count(*) as declarations, cast(sum(amount_cny) as double) as declared_cny,
        cast(sum(case when is_billed = 0 then amount_cny else 0 end) as double) as unbilled_cny,
        median(price_cny) as price_cny, median(quantity_units) as quantity_units
    from {{ fact('declaration') }} group by enterprise_id, month, closes_on
), abroad as (
    select bill.seller_id as enterprise_id, bill.month, cast(sum(bill.amount_cny) as double) as billed_cny,
        median(cast(bill.amount_cny as double)) as usual_bill_cny
    from {{ fact('invoice') }} as bill
    left join {{ fact('registered') }} as home on home.enterprise_id = bill.buyer_id
        and home.known_on <= bill.closes_on
    where home.enterprise_id is null and bill.buyer_id is not null and bill.known_on <= bill.closes_on and not bill.is_red
    group by bill.seller_id, bill.month
), spans as (
    select months.*, {{ ratio('sum(months.declared_cny) over lately', 'sum(abroad.billed_cny) over lately') }} as cover,
        {{ ratio('sum(months.declared_cny) over before', 'sum(abroad.billed_cny) over before') }} as usual_cover,
        avg(months.price_cny) over year_before as usual_price, count(*) over year_before as months_before,
        count(*) over before as spans_before
    from months left join abroad on abroad.enterprise_id = months.enterprise_id and abroad.month = months.month
    window lately as (partition by months.enterprise_id order by months.month rows between 3 preceding and current row),
        before as (partition by months.enterprise_id order by months.month rows between 15 preceding and 4 preceding),
        year_before as (partition by months.enterprise_id order by months.month rows between 12 preceding and 1 preceding)
)
select enterprise_id, month as period_from, last_day(month) as period_to, closes_on as found_on,
    case when declarations >= 2 then {{ ratio('unbilled_cny', 'declared_cny') }} else 0 end as declared_above_invoices,
    cover as declared_above_foreign_sales,
    case when spans_before >= 3 then {{ ratio('cover', 'usual_cover') }} end as declared_above_before,
    case when months_before >= 2 then {{ ratio('price_cny', 'usual_price') }} end as price_above_before
from spans
