{# Whom a finding can be about: enterprises of the register, and others that a department holds with their credit code. #}
select distinct uscc as enterprise_id from {{ silver('registered_enterprise') }} where uscc is not null
union
select enterprise_id from {{ fact('owner') }} where length(enterprise_id) = 18 and enterprise_id not like '%-%'
