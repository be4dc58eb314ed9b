{# One row per payment between two accounts that was not undone by the close of its month. Amounts in yuan with tax. #}
with paid as (
    select paid.payment_number, paid.payer_account, paid.payee_account, payer.party_id as payer_id,
        payee.party_id as payee_id, payer.enterprise_id as payer_enterprise_id,
        payee.enterprise_id as payee_enterprise_id, payer.holder_kind as payer_kind, payee.holder_kind as payee_kind,
        paid.valued_on as day, {{ month('paid.valued_on') }} as month, {{ closes_on('paid.valued_on') }} as closes_on,
        paid.amount_cny, paid.purpose, paid.channel, paid.remark, paid.loan_number,
        greatest({{ known_on('paid.known_at') }}, payer.known_on, payee.known_on) as known_on
    from {{ silver('payment') }} as paid
    join {{ fact('holder') }} as payer on payer.account_number = paid.payer_account
    join {{ fact('holder') }} as payee on payee.account_number = paid.payee_account
    where paid.reverses_payment_number is null
), undone as (
    select reverses_payment_number as payment_number, min({{ known_on('known_at') }}) as undone_on
    from {{ silver('payment') }} where reverses_payment_number is not null group by reverses_payment_number
)
select paid.* from paid left join undone on undone.payment_number = paid.payment_number
where undone.undone_on is null or undone.undone_on > paid.closes_on
