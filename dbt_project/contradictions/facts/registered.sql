{# The enterprises of the register: whom a finding can be about. #}
select distinct uscc as enterprise_id from {{ silver('registered_enterprise') }} where uscc is not null
