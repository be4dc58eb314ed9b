{# One row per waybill of the platform: what was shipped for which order, and since when that is known. #}
select waybill_number, min(order_number) as order_number, min(good) as good, max(quantity_units) as quantity_units,
    min(cast(event_at as date)) as shipped_on, min({{ known_on('known_at') }}) as known_on,
    min(sender_member_id) as sender_member_id, min(recipient_member_id) as recipient_member_id,
    min(sender_name) as sender_name, min(recipient_name) as recipient_name
from {{ silver('platform_waybill') }} group by waybill_number
