{#
    Enterprise that applied for a loan, with another one of no common legal person or shareholder: how many applied from
    one device, most of them within how few days, whether they left one telephone number, whether they bear one address.
#}
with applied as (
    select owner.enterprise_id, told.application_number, told.applied_on, told.device_id, told.contact_phone,
        min({{ known_on('told.known_at') }}) as known_on
    from {{ silver('bank_application') }} as told
    join {{ fact('owner') }} as owner on owner.department = 'core_bank' and owner.department_key = told.customer_number
        and owner.known_on <= {{ days_after('told.applied_on', 1) }}
        and coalesce(owner.replaced_on > {{ days_after('told.applied_on', 1) }}, true)
    where told.device_id is not null
    group by owner.enterprise_id, told.application_number, told.applied_on, told.device_id, told.contact_phone
), people as (
    {# Legal persons and shareholders, so that one owner's own firms are no ring. #}
    select uscc as enterprise_id, legal_person_number as person from {{ silver('registered_enterprise') }}
    where legal_person_number is not null
    union
    select firm.uscc, share.owner_code from {{ silver('shareholder') }} as share
    join {{ silver('registered_enterprise') }} as firm on firm.enterprise_key = share.enterprise_key
    where share.owner_kind = 'natural_person'
    union
    select share.owner_code, share.owner_code from {{ silver('shareholder') }} as share where share.owner_kind = 'enterprise'
    union
    select firm.uscc, share.owner_code from {{ silver('shareholder') }} as share
    join {{ silver('registered_enterprise') }} as firm on firm.enterprise_key = share.enterprise_key
    where share.owner_kind = 'enterprise'
), kin as (
    select distinct one.enterprise_id, other.enterprise_id as kin_id
    from people as one join people as other on other.person = one.person and other.enterprise_id <> one.enterprise_id
), addresses as (
    select uscc as enterprise_id, address, min({{ known_on('known_at') }}) as known_on
    from {{ silver('registered_enterprise') }} where address is not null group by uscc, address
), pairs as (
    select one.enterprise_id, other.enterprise_id as other_id, other.application_number as other_number,
        one.applied_on, least(one.applied_on, other.applied_on) as period_from,
        greatest(one.applied_on, other.applied_on) as period_to, greatest(one.known_on, other.known_on) as found_on,
        abs({{ days_between('one.applied_on', 'other.applied_on') }}) as days_apart,
        case when one.contact_phone = other.contact_phone then 1.0 else 0.0 end as same_phone
    from applied as one
    join applied as other on other.device_id = one.device_id and other.enterprise_id <> one.enterprise_id
    left join kin on kin.enterprise_id = one.enterprise_id and kin.kin_id = other.enterprise_id
    where kin.kin_id is null
)
select pairs.enterprise_id, min(pairs.period_from) as period_from, pairs.period_to, pairs.found_on,
    cast(count(distinct pairs.other_id) + 1 as double) as shared_device,
    cast(min(pairs.days_apart) as double) as applications_within_days, max(pairs.same_phone) as shared_phone,
    max(case when mine.address is not null then 1.0 else 0.0 end) as shared_address
from pairs
left join addresses as mine on mine.enterprise_id = pairs.enterprise_id and mine.known_on <= pairs.found_on
    and exists (select 1 from addresses as theirs where theirs.enterprise_id = pairs.other_id
        and theirs.address = mine.address and theirs.known_on <= pairs.found_on)
group by pairs.enterprise_id, pairs.period_to, pairs.found_on
