-- Summed over counterparties, the pair base is the flow base: valid invoices of each month by the day from which they
-- count, of the slice that was brought up to date.
with from_pairs as (

    select
        enterprise_id,
        direction,
        event_month,
        counts_from,
        sum(valid_count) as valid_count,
        sum(valid_fen) as valid_fen
    from {{ ref('enterprise_pair_monthly') }}
    where {{ since_slice('counts_from') }}
    group by enterprise_id, direction, event_month, counts_from

),

from_flow as (

    select
        enterprise_id,
        direction,
        trunc(event_day, 'MM') as event_month,
        {{ counts_from('event_day', 'known_day') }} as counts_from,
        sum(valid_count) as valid_count,
        sum(valid_fen) as valid_fen
    from {{ ref('enterprise_flow_daily') }}
    where {{ counts_since('event_day', 'known_day') }}
    group by enterprise_id, direction, trunc(event_day, 'MM'), {{ counts_from('event_day', 'known_day') }}

)

select *
from from_pairs
full outer join from_flow using (enterprise_id, direction, event_month, counts_from)
where
    coalesce(from_pairs.valid_count, 0L) <> coalesce(from_flow.valid_count, 0L)
    or coalesce(from_pairs.valid_fen, 0L) <> coalesce(from_flow.valid_fen, 0L)
