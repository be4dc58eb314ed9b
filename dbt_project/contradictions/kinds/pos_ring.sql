{#
    Enterprise and month: card receipts of a day against what went to natural persons on the next, where that happened
    on eight days at least; receipts of a quarter against goods bought, by what they were in the year before; how few
    cards, how late.
#}
with day_receipts as (
    select * from {{ fact('pos_receipts') }}
), to_persons as (
    select payer_enterprise_id as enterprise_id, {{ days_after('day', -1) }} as day, sum(amount_cny) as amount_cny
    from {{ fact('payment') }}
    where payee_kind = 'person' and purpose = 'transfer' and payer_enterprise_id is not null and known_on <= closes_on
    group by payer_enterprise_id, {{ days_after('day', -1) }}
), months as (
    select taken.enterprise_id, taken.month, taken.closes_on, cast(sum(taken.amount_cny) as double) as receipts_cny,
        cast(sum(least(coalesce(back.amount_cny, 0), taken.amount_cny)) as double) as back_cny,
        count_if(back.amount_cny >= 0.3 * taken.amount_cny) as back_days,
        percentile_cont(0.5) within group (order by cast(taken.top_payer_cny / taken.amount_cny as double)) as top_ratio,
        percentile_cont(0.5) within group (order by cast(taken.night_cny / taken.amount_cny as double)) as night_ratio
    from day_receipts as taken
    left join to_persons as back on back.enterprise_id = taken.enterprise_id and back.day = taken.day
    where taken.amount_cny > 0
    group by taken.enterprise_id, taken.month, taken.closes_on
), with_purchases as (
    select months.*,
        sum(receipts_cny) over lately as receipts_now, sum(coalesce(bought.purchases_cny, 0)) over lately as purchases_now,
        sum(receipts_cny) over before as receipts_before,
        sum(coalesce(bought.purchases_cny, 0)) over before as purchases_before,
        count(*) over before as months_before
    from months
    left join {{ fact('purchases') }} as bought
        on bought.enterprise_id = months.enterprise_id and bought.month = months.month
    window before as (partition by months.enterprise_id order by months.month rows between 14 preceding and 3 preceding),
        lately as (partition by months.enterprise_id order by months.month rows between 2 preceding and current row)
)
select enterprise_id, month as period_from, last_day(month) as period_to, closes_on as found_on,
    case when back_days >= 8 then {{ ratio('back_cny', 'receipts_cny') }} else 0 end as receipts_go_back_next_day,
    case when months_before >= 3 and purchases_before > 0 then
        {{ ratio('receipts_now', 'receipts_before * greatest(purchases_now / purchases_before, 0.05)') }} end
        as receipts_against_purchases,
    top_ratio as few_payers, night_ratio as night_receipts
from with_purchases
