{#
    One row per warehouse receipt: owner (a member of the platform, else by the name that one firm alone bears), quantity
    and lot as issued, who holds it, and when it was released.
#}
select told.receipt_number, coalesce(owner.enterprise_id, named.enterprise_id) as enterprise_id, told.good, told.quantity_units, told.lot_code,
    told.pledged_to_institution, cast(told.event_at as date) as issued_on, greatest({{ known_on('told.known_at') }}, coalesce(owner.known_on, named.known_on)) as known_on,
    released.released_on, released.known_on as release_known_on
from {{ silver('platform_warehouse_receipt') }} as told
left join (
    select receipt_number, min(cast(event_at as date)) as released_on, min({{ known_on('known_at') }}) as known_on
    from {{ silver('platform_warehouse_receipt') }} where event_type = 'receipt_released' group by receipt_number
) as released on released.receipt_number = told.receipt_number
left join {{ fact('first_owner') }} as owner
    on owner.department = 'platform' and owner.department_key = told.owner_member_id
left join {{ fact('named') }} as named on named.name = told.owner_name
    and (named.until_on is null or named.until_on > greatest({{ known_on('told.known_at') }}, named.known_on))
where told.version_no = 1 and told.event_type = 'receipt_issued'
    and coalesce(owner.enterprise_id, named.enterprise_id) is not null
