{# One row per buyer and month: what it was invoiced, without tax, red letters taken off. #}
select buyer_id as enterprise_id, month, closes_on, cast(sum(amount_cny) as double) as purchases_cny
from {{ fact('invoice') }} where known_on <= closes_on group by buyer_id, month, closes_on
