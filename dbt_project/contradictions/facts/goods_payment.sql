{# One row per payment between firms for goods that was not undone: parties, amount with tax, the invoice it names. #}
select paid.payment_number, paid.valued_on, cast(paid.paid_at as date) as paid_on, paid.amount_cny,
    payer.party_id as payer_id, payee.party_id as payee_id,
    nullif(regexp_extract(paid.remark, '([0-9]{8,20})', 1), '') as invoice_number
from {{ silver('payment') }} as paid
join {{ fact('holder') }} as payer on payer.account_number = paid.payer_account
join {{ fact('holder') }} as payee on payee.account_number = paid.payee_account
left join (
    select distinct reverses_payment_number as payment_number from {{ silver('payment') }}
    where reverses_payment_number is not null
) as undone on undone.payment_number = paid.payment_number
where paid.purpose = 'goods' and paid.reverses_payment_number is null and undone.payment_number is null
