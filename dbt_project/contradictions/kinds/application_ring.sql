{#
    Enterprise that applied for a loan from a device from which another one applied that is not its kin by the register:
    how many did so far, within how few days of each other, whether with one telephone number and one address.
#}
with pairs as (
    select one.enterprise_id, other.enterprise_id as other_id,
        least(one.applied_on, other.applied_on) as period_from, greatest(one.applied_on, other.applied_on) as period_to,
        greatest(one.known_on, other.known_on) as found_on,
        abs({{ days_between('one.applied_on', 'other.applied_on') }}) as days_apart,
        case when one.contact_phone = other.contact_phone then 1.0 else 0.0 end as same_phone
    from {{ fact('application') }} as one
    join {{ fact('application') }} as other on other.device_id = one.device_id
        and other.enterprise_id <> one.enterprise_id
), strangers as (
    select pairs.* from pairs
    left join {{ fact('kin') }} as kin on kin.enterprise_id = pairs.enterprise_id and kin.kin_id = pairs.other_id
        and kin.known_on <= pairs.found_on
    where kin.kin_id is null
), neighbours as (
    select mine.enterprise_id, theirs.enterprise_id as other_id, min(greatest(mine.known_on, theirs.known_on)) as known_on
    from {{ fact('address') }} as mine
    join {{ fact('address') }} as theirs on theirs.address = mine.address and theirs.enterprise_id <> mine.enterprise_id
    group by mine.enterprise_id, theirs.enterprise_id
)
select strangers.enterprise_id, min(strangers.period_from) as period_from, max(strangers.period_to) as period_to,
    strangers.found_on, cast(count(distinct strangers.other_id) + 1 as double) as shared_device,
    cast(min(strangers.days_apart) as double) as applications_within_days,
    max(case when neighbours.other_id is not null then strangers.same_phone else 0.0 end) as shared_phone_and_address
from strangers
left join neighbours on neighbours.enterprise_id = strangers.enterprise_id
    and neighbours.other_id = strangers.other_id and neighbours.known_on <= strangers.found_on
group by strangers.enterprise_id, strangers.found_on
