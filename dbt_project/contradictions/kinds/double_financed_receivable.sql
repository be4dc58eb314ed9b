{#
    Receivables that a lender registered on a day, when the month of it closes: what all lenders have registered on one
    of them at that time, by what the tax ledger says it is worth, or else this lender did; how many of them stand
    registered for another lender too, by number; how many numbers the ledger does not hold for the borrower, though it
    holds another invoice of that value to the fen; and the share of the value under numbers that it does not hold.
#}
with registered as (
    select told.record_id, told.debtor_code as enterprise_id, told.lender_name, told.invoice_number,
        cast(told.value_cny as double) as value_cny, told.registered_on, {{ known_on('told.known_at') }} as known_on,
        {{ closes_on("greatest(told.registered_on, " ~ known_on('told.known_at') ~ ")") }} as found_on,
        ended.ended_on, ended.known_on as end_known_on
    from {{ silver('receivable_registration') }} as told
    left join (
        select record_id, min(ended_on) as ended_on, min({{ known_on('known_at') }}) as known_on
        from {{ silver('receivable_registration') }} where ended_on is not null group by record_id
    ) as ended on ended.record_id = told.record_id
    where told.version_no = 1
), billed as (
    select registered.record_id, max(bill.invoice_number) as own_number, max(cast(bill.total_cny as double)) as own_cny,
        max(like_it.invoice_number) as like_number, max(cast(like_it.total_cny as double)) as like_cny
    from registered
    left join {{ fact('invoice') }} as bill on bill.invoice_number = registered.invoice_number
        and bill.seller_id = registered.enterprise_id and not bill.is_red and bill.known_on <= registered.found_on
    left join {{ fact('invoice') }} as like_it on like_it.seller_id = registered.enterprise_id and not like_it.is_red
        and cast(like_it.total_cny as double) between registered.value_cny - 0.005 and registered.value_cny + 0.005
        and like_it.known_on <= registered.found_on and like_it.issued_on <= registered.registered_on
    group by registered.record_id
), matched as (
    select registered.*, own_number is not null as is_held, like_number is not null as is_like,
        coalesce(own_number, like_number, registered.invoice_number) as bill_number,
        coalesce(own_cny, like_cny, registered.value_cny) as bill_cny
    from registered join billed on billed.record_id = registered.record_id
), together as (
    select one.record_id, sum(other.value_cny) as elsewhere_cny,
        max(case when other.invoice_number = one.invoice_number then 1 else 0 end) as is_same
    from matched as one join matched as other on other.enterprise_id = one.enterprise_id
        and other.bill_number = one.bill_number and other.lender_name <> one.lender_name
        and other.known_on <= one.found_on and other.registered_on <= one.registered_on
        and (other.ended_on is null or other.end_known_on > one.found_on or other.ended_on > one.registered_on)
    group by one.record_id
)
select matched.enterprise_id, min(matched.registered_on) as period_from, max(matched.found_on) as period_to,
    max(matched.found_on) as found_on,
    max({{ ratio('matched.value_cny + coalesce(together.elsewhere_cny, 0)', 'matched.bill_cny') }}) as registered_above_invoice,
    cast(sum(coalesce(together.is_same, 0)) as double) as same_invoice_number,
    cast(sum(case when not matched.is_held and matched.is_like then 1 else 0 end) as double) as number_like_another_invoice,
    {{ ratio('sum(case when matched.is_held then 0 else matched.value_cny end)', 'sum(matched.value_cny)') }} as pledge_without_open_invoice
from matched left join together on together.record_id = matched.record_id
group by matched.enterprise_id, matched.lender_name, matched.registered_on
