{# One row per seller and month: what it invoiced, without tax, red letters taken off. #}
select seller_id as enterprise_id, month, closes_on, cast(sum(amount_cny) as double) as sales_cny,
    cast(sum(case when is_red then 0 else amount_cny end) as double) as billed_cny, count(*) as invoices
from {{ fact('invoice') }} where known_on <= closes_on group by seller_id, month, closes_on
