{#
    Loan paid out to an enterprise's account, by any bank: what went to natural persons within two days, to one that had
    put in capital before, and how payments for goods of the next thirty days stand to those of the ninety before.
#}
with drawn as (
    select payee_enterprise_id as enterprise_id, day, cast(sum(amount_cny) as double) as principal_cny,
        max(known_on) as known_on
    from {{ fact('payment') }}
    where payer_kind = 'bank' and purpose = 'drawdown' and payee_enterprise_id is not null
    group by payee_enterprise_id, day
), judged as (
    select *, {{ days_after('day', 45) }} as found_on from drawn where known_on <= {{ days_after('day', 45) }}
), owners as (
    select payee_enterprise_id as enterprise_id, payer_account as account, min(known_on) as known_on
    from {{ fact('payment') }}
    where payer_kind = 'person' and purpose = 'capital' and payee_enterprise_id is not null
    group by payee_enterprise_id, payer_account
), left_at_once as (
    select judged.enterprise_id, judged.day, cast(sum(paid.amount_cny) as double) as left_cny,
        cast(sum(case when owners.account is not null then paid.amount_cny else 0 end) as double) as to_owner_cny
    from judged
    join {{ fact('payment') }} as paid on paid.payer_enterprise_id = judged.enterprise_id
        and paid.day between judged.day and {{ days_after('judged.day', 2) }} and paid.known_on <= judged.found_on
        and paid.payee_kind = 'person' and paid.purpose = 'transfer'
    left join owners on owners.enterprise_id = judged.enterprise_id and owners.account = paid.payee_account
        and owners.known_on <= judged.found_on
    group by judged.enterprise_id, judged.day
), bought as (
    select judged.enterprise_id, judged.day,
        cast(sum(case when paid.day >= judged.day then paid.amount_cny else 0 end) as double) as after_cny,
        cast(sum(case when paid.day < judged.day then paid.amount_cny else 0 end) as double) / 3 as before_cny
    from judged
    join {{ fact('payment') }} as paid on paid.payer_enterprise_id = judged.enterprise_id
        and paid.day between {{ days_after('judged.day', -90) }} and {{ days_after('judged.day', 29) }}
        and paid.purpose = 'goods' and paid.known_on <= judged.found_on
    group by judged.enterprise_id, judged.day
)
select judged.enterprise_id, judged.day as period_from, {{ days_after('judged.day', 30) }} as period_to, judged.found_on,
    {{ ratio('coalesce(left_at_once.left_cny, 0)', 'judged.principal_cny') }} as drawdown_leaves_at_once,
    {{ ratio('coalesce(left_at_once.to_owner_cny, 0)', 'judged.principal_cny') }} as paid_to_owner,
    {{ ratio('coalesce(bought.after_cny, 0) - coalesce(bought.before_cny, 0)', 'judged.principal_cny') }} as purchases_do_not_follow
from judged
left join left_at_once on left_at_once.enterprise_id = judged.enterprise_id and left_at_once.day = judged.day
left join bought on bought.enterprise_id = judged.enterprise_id and bought.day = judged.day
