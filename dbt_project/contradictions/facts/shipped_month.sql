{# One row per sender and month: units that left by the platform's waybills, returns taken off. #}
select owner.enterprise_id, {{ month('told.shipped_on') }} as month, cast(sum(told.quantity_units) as double) as shipped_units
from {{ fact('shipment') }} as told
join {{ fact('first_owner') }} as owner on owner.department = 'platform' and owner.department_key = told.sender_member_id
where told.known_on <= {{ closes_on('told.shipped_on') }} and owner.known_on <= {{ closes_on('told.shipped_on') }}
group by owner.enterprise_id, {{ month('told.shipped_on') }}
