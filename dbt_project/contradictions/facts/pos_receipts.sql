{# One row per enterprise and day: card and QR receipts of its terminals, as booked by the close of the month. #}
select holder.enterprise_id, told.day, {{ month('told.day') }} as month, {{ closes_on('told.day') }} as closes_on,
    sum(told.amount_cny) as amount_cny, sum(told.payers) as payers,
    sum(told.amount_cny * cast(told.top_payer_ratio as double)) as top_payer_cny,
    sum(told.amount_cny * cast(told.night_ratio as double)) as night_cny
from {{ versions('pos_day') }} as told
join {{ fact('holder') }} as holder on holder.account_number = told.account_number
where holder.enterprise_id is not null and {{ stands_on('told', closes_on('told.day')) }}
    and holder.known_on <= {{ closes_on('told.day') }}
group by holder.enterprise_id, told.day
