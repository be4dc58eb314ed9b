{#
    One row per export declaration, as known when its month closed: whether an invoice of the same good and the same
    amount was written in the twelve days before; whether as many units were shipped in those days.
#}
with told as (
    select owner.enterprise_id, told.record_id, told.declared_on, {{ month('told.declared_on') }} as month,
        {{ closes_on('told.declared_on') }} as closes_on, told.good, told.hs_code, told.quantity_units,
        told.amount_cny, cast(told.amount_cny as double) / told.quantity_units as price_cny
    from {{ versions('customs_declaration') }} as told
    {{ owner('customs', 'told.customs_code', closes_on('told.declared_on'), 'owner') }}
    where told.direction = 'export' and told.quantity_units > 0 and owner.enterprise_id is not null
        and {{ stands_on('told', closes_on('told.declared_on')) }}
), billed as (
    select told.record_id, 1 as is_billed
    from told join {{ fact('invoice') }} as bill on bill.seller_id = told.enterprise_id and bill.good = told.good
        and bill.amount_cny = told.amount_cny and bill.known_on <= told.closes_on
        and bill.issued_on between {{ days_after('told.declared_on', -12) }} and told.declared_on
    group by told.record_id
)
select told.*, coalesce(billed.is_billed, 0) as is_billed
from told left join billed on billed.record_id = told.record_id
