{# One row per application at this bank: who applied when, from which device and with which telephone (both as tokens). #}
select owner.enterprise_id, told.application_number, told.applied_on, told.device_id, told.contact_phone,
    greatest({{ known_on('told.known_at') }}, owner.known_on) as known_on
from {{ silver('bank_application') }} as told
join {{ fact('first_owner') }} as owner on owner.department = 'core_bank' and owner.department_key = told.customer_number
where told.version_no = 1
