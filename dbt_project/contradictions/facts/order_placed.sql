{# One row per order that the platform shows, and since when that is known. #}
select order_number, min(cast(event_at as date)) as ordered_on, max(quantity_units) as quantity_units,
    max(amount_cny) as amount_cny, min({{ known_on('known_at') }}) as known_on
from {{ silver('platform_order') }} group by order_number
