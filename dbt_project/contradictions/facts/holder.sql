{# One row per account: holder kind, and the party: an enterprise, or the code of a firm elsewhere. Persons are nobody. #}
select account_number, holder_kind, coalesce(enterprise_id, certificate_number) as party_id, enterprise_id, known_on
from (
    select *, row_number() over (
        partition by account_number
        order by case when enterprise_id is null then 1 else 0 end, known_on, enterprise_id, party_order) as place
    from (
        select held.account_number, held.holder_kind, held.certificate_number, owner.enterprise_id,
            held.version_no as party_order,
            greatest(held.known_on, coalesce(owner.known_on, held.known_on)) as known_on
        from {{ versions('payment_account') }} as held
        left join {{ fact('owner') }} as owner on owner.department = 'payments'
            and owner.department_key in (held.client_number, held.account_number)
    ) as told
) as listed
where place = 1
