{# Pairs of enterprises that the register shows as one owner's: a common legal person or shareholder, or one in the other. #}
with firms as (
    select distinct enterprise_key, uscc from {{ silver('registered_enterprise') }} where uscc is not null
), people as (
    select uscc as enterprise_id, legal_person_number as person, min({{ known_on('known_at') }}) as known_on
    from {{ silver('registered_enterprise') }} where legal_person_number is not null and uscc is not null
    group by uscc, legal_person_number
    union all
    select firms.uscc, share.owner_code, min({{ known_on('share.known_at') }})
    from {{ silver('shareholder') }} as share join firms on firms.enterprise_key = share.enterprise_key
    where share.owner_code is not null group by firms.uscc, share.owner_code
    union all
    select owner_code, owner_code, min({{ known_on('known_at') }}) from {{ silver('shareholder') }}
    where owner_kind = 'enterprise' and owner_code is not null group by owner_code
)
select one.enterprise_id, other.enterprise_id as kin_id, min(greatest(one.known_on, other.known_on)) as known_on
from people as one join people as other on other.person = one.person and other.enterprise_id <> one.enterprise_id
group by one.enterprise_id, other.enterprise_id
