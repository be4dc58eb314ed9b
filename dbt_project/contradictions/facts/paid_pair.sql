{# One row per buyer and seller between whom a payment for goods ever passed: since when that is known. #}
select payer_id as buyer_id, payee_id as seller_id, min(known_on) as known_on, min(day) as first_paid_on
from {{ fact('payment') }} where purpose = 'goods' group by payer_id, payee_id
