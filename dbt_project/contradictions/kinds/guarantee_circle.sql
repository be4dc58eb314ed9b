{#
    Enterprise that guarantees a loan here, or has one guaranteed: whether it and the other, no kin by the register,
    left one telephone number, applying or guaranteeing, or bear one address; how many guarantees stand between firms with
    that mark; and how long a circle of guarantees the two are in.
#}
with signed as (
    select guarantor.enterprise_id as guarantor_id, debtor.enterprise_id as debtor_id, told.signed_on,
        told.contact_phone as guarantor_phone,
        greatest({{ known_on('told.known_at') }}, guarantor.known_on, debtor.known_on) as known_on
    from {{ silver('bank_guarantee') }} as told
    join {{ silver('bank_loan') }} as loan on loan.loan_number = told.loan_number and loan.version_no = 1
    join {{ fact('first_owner') }} as guarantor
        on guarantor.department = 'core_bank' and guarantor.department_key = told.guarantor_customer_number
    join {{ fact('first_owner') }} as debtor
        on debtor.department = 'core_bank' and debtor.department_key = loan.customer_number
    where told.version_no = 1
), edges as (
    select guarantor_id, debtor_id, min(known_on) as known_on, min(signed_on) as signed_on from signed
    where guarantor_id <> debtor_id
    group by guarantor_id, debtor_id
), marks as (
    select enterprise_id, contact_phone as mark, min(known_on) as known_on
    from (
        select enterprise_id, contact_phone, known_on from {{ fact('application') }}
        union all
        select guarantor_id, guarantor_phone, known_on from signed
    ) as left_here
    where contact_phone is not null group by enterprise_id, contact_phone
    union all
    select enterprise_id, address, known_on from {{ fact('address') }}
), tied as (
    select edges.guarantor_id, edges.debtor_id, edges.signed_on, one.mark,
        greatest(edges.known_on, one.known_on, other.known_on) as known_on
    from edges
    join marks as one on one.enterprise_id = edges.guarantor_id
    join marks as other on other.enterprise_id = edges.debtor_id and other.mark = one.mark
), strangers as (
    select tied.* from tied
    left join {{ fact('kin') }} as kin on kin.enterprise_id = tied.guarantor_id and kin.kin_id = tied.debtor_id
        and kin.known_on <= tied.known_on
    where kin.kin_id is null
), contracts as (
    select strangers.mark, signed.signed_on, greatest(signed.known_on, strangers.known_on) as known_on
    from strangers join signed
        on signed.guarantor_id = strangers.guarantor_id and signed.debtor_id = strangers.debtor_id
), counted as (
    select mark, known_on, max(signed_on) as signed_on,
        sum(count(*)) over (partition by mark order by known_on rows unbounded preceding) as guarantees
    from contracts group by mark, known_on
), inside as (
    select one.guarantor_id, one.debtor_id, one.mark, counted.known_on, counted.signed_on, counted.guarantees,
        one.signed_on as period_from
    from strangers as one join counted on counted.mark = one.mark and counted.known_on >= one.known_on
), circles as (
    select a.guarantor_id, a.debtor_id, 2.0 as size, greatest(a.known_on, b.known_on) as known_on
    from edges as a join edges as b on b.guarantor_id = a.debtor_id and b.debtor_id = a.guarantor_id
    union all
    select a.guarantor_id, a.debtor_id, 3.0, greatest(a.known_on, b.known_on, c.known_on)
    from edges as a join edges as b on b.guarantor_id = a.debtor_id and b.debtor_id <> a.guarantor_id
    join edges as c on c.guarantor_id = b.debtor_id and c.debtor_id = a.guarantor_id
), judged as (
    select inside.guarantor_id, inside.debtor_id, inside.period_from, inside.signed_on, inside.known_on as found_on,
        inside.guarantees, max(circles.size) as size
    from inside
    left join circles on circles.guarantor_id = inside.guarantor_id and circles.debtor_id = inside.debtor_id
        and circles.known_on <= inside.known_on
    group by inside.guarantor_id, inside.debtor_id, inside.period_from, inside.signed_on, inside.known_on,
        inside.guarantees
), both_sides as (
    select guarantor_id as enterprise_id, * from judged union all select debtor_id as enterprise_id, * from judged
)
select enterprise_id, period_from, max(signed_on) as period_to, found_on, 1.0 as guarantors_related,
    cast(max(guarantees) as double) as guarantees_inside, max(size) as guarantee_cycle
from both_sides group by enterprise_id, period_from, found_on
