{#
    Enterprise whose loans here others guarantee: how many firms guarantee each other around with it, and whether two of
    them that are no declared kin left one telephone number or bear one address.
#}
with told as (
    select guarantor.enterprise_id as guarantor_id, debtor.enterprise_id as debtor_id, sign.signed_on,
        {{ days_after('sign.signed_on', 1) }} as known_on
    from (
        select loan_number, guarantor_customer_number, signed_on from {{ silver('bank_guarantee') }} where version_no = 1
    ) as sign
    join (
        select loan_number, customer_number from {{ silver('bank_loan') }} where version_no = 1
    ) as loan on loan.loan_number = sign.loan_number
    {{ owner('core_bank', 'sign.guarantor_customer_number', days_after('sign.signed_on', 1), 'guarantor') }}
    {{ owner('core_bank', 'loan.customer_number', days_after('sign.signed_on', 1), 'debtor') }}
), edges as (
    select guarantor_id, debtor_id, min(known_on) as known_on, min(signed_on) as signed_on from told
    where guarantor_id is not null and debtor_id is not null and guarantor_id <> debtor_id
    group by guarantor_id, debtor_id
), phones as (
    select owner.enterprise_id, told.contact_phone as mark, min({{ known_on('told.known_at') }}) as known_on
    from {{ silver('bank_application') }} as told
    join {{ fact('owner') }} as owner on owner.department = 'core_bank' and owner.department_key = told.customer_number
    where told.contact_phone is not null group by owner.enterprise_id, told.contact_phone
    union all
    select uscc, address, min({{ known_on('known_at') }}) from {{ silver('registered_enterprise') }}
    where address is not null group by uscc, address
), linked as (
    select edges.*, case when one.mark is not null then 1.0 else 0.0 end as related,
        greatest(edges.known_on, coalesce(one.known_on, edges.known_on), coalesce(other.known_on, edges.known_on)) as all_known_on
    from edges
    left join phones as one on one.enterprise_id = edges.guarantor_id
        and exists (select 1 from phones as x where x.enterprise_id = edges.debtor_id and x.mark = one.mark)
    left join phones as other on other.enterprise_id = edges.debtor_id and other.mark = one.mark
), circles as (
    select a.guarantor_id as enterprise_id, 2.0 as size, greatest(a.all_known_on, b.all_known_on) as found_on,
        least(a.signed_on, b.signed_on) as period_from, greatest(a.related, b.related) as related
    from linked as a join linked as b on b.guarantor_id = a.debtor_id and b.debtor_id = a.guarantor_id
    union all
    select a.guarantor_id, 3.0, greatest(a.all_known_on, b.all_known_on, c.all_known_on),
        least(a.signed_on, b.signed_on, c.signed_on), greatest(a.related, b.related, c.related)
    from linked as a join linked as b on b.guarantor_id = a.debtor_id
    join linked as c on c.guarantor_id = b.debtor_id and c.debtor_id = a.guarantor_id
    where b.debtor_id <> a.guarantor_id
)
select enterprise_id, period_from, found_on as period_to, found_on, max(size) as guarantee_cycle,
    max(related) as guarantors_related
from circles group by enterprise_id, period_from, found_on
