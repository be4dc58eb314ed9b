{#
    Loan here that invoices secure, when the month of the pledge closes: share of the pledged value under numbers that the tax ledger
    does not hold for the borrower; all that is pledged here by what it invoiced in the five months before and was not
    yet paid with a remark; number of those invoices that another loan here holds at the same time.
#}
with pledged as (
    select told.loan_number, told.collateral_number, told.object_number, cast(told.value_cny as double) as value_cny,
        told.pledged_from, owner.enterprise_id, greatest({{ known_on('told.known_at') }}, owner.known_on) as known_on,
        ended.released_on, ended.known_on as end_known_on
    from {{ silver('bank_collateral') }} as told
    join {{ silver('bank_loan') }} as loan on loan.loan_number = told.loan_number and loan.version_no = 1
    join {{ fact('first_owner') }} as owner
        on owner.department = 'core_bank' and owner.department_key = loan.customer_number
    left join (
        select collateral_number, min(released_on) as released_on, min({{ known_on('known_at') }}) as known_on
        from {{ silver('bank_collateral') }} where released_on is not null group by collateral_number
    ) as ended on ended.collateral_number = told.collateral_number
    where told.version_no = 1 and told.collateral_kind = 'invoice'
), dated as (
    select *, {{ closes_on('greatest(pledged_from, known_on)') }} as found_on from pledged
), held as (
    select dated.collateral_number, max(case when bill.invoice_number is not null then 1 else 0 end) as is_held,
        count(distinct case when bill.invoice_number is null then like_it.invoice_number end) as alike
    from dated
    left join {{ fact('invoice') }} as bill on bill.invoice_number = dated.object_number
        and bill.seller_id = dated.enterprise_id and not bill.is_red and bill.known_on <= dated.found_on
    left join {{ fact('invoice') }} as like_it on like_it.seller_id = dated.enterprise_id and not like_it.is_red
        and cast(like_it.total_cny as double) between dated.value_cny - 0.005 and dated.value_cny + 0.005
        and like_it.known_on <= dated.found_on and like_it.issued_on <= dated.pledged_from
    group by dated.collateral_number
), twice as (
    select one.collateral_number, count(*) as others
    from dated as one join dated as other on other.object_number = one.object_number
        and other.enterprise_id = one.enterprise_id and other.loan_number <> one.loan_number
        and other.known_on <= one.found_on and other.pledged_from <= one.found_on
        and (other.released_on is null or other.end_known_on > one.found_on or other.released_on > one.pledged_from)
    group by one.collateral_number
)
select dated.enterprise_id, min(dated.pledged_from) as period_from, max(dated.found_on) as period_to,
    max(dated.found_on) as found_on,
    {{ ratio('sum(case when held.is_held = 0 then dated.value_cny else 0 end)', 'sum(dated.value_cny)') }} as pledge_without_open_invoice,
    cast(sum(case when held.alike > 0 then 1 else 0 end) as double) as number_like_another_invoice,
    cast(sum(coalesce(twice.others, 0)) as double) as same_invoice_number
from dated join held on held.collateral_number = dated.collateral_number
left join twice on twice.collateral_number = dated.collateral_number
group by dated.enterprise_id, dated.loan_number, dated.pledged_from
