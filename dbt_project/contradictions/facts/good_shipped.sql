{# One row per good that is ever shipped, and since when that is known: a service never is. #}
select good, min(known_on) as known_on from {{ fact('shipment') }} where good is not null group by good
