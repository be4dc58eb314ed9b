{# One row per enterprise and month: what came in for goods, from firms by transfer and from cards, with tax. #}
select enterprise_id, month, closes_on, cast(sum(amount_cny) as double) as received_cny
from (
    select payee_enterprise_id as enterprise_id, month, closes_on, amount_cny from {{ fact('payment') }}
    where purpose = 'goods' and payee_enterprise_id is not null and known_on <= closes_on
    union all
    select enterprise_id, month, closes_on, amount_cny from {{ fact('pos_receipts') }}
) as came group by enterprise_id, month, closes_on
