-- Summed over counterparties, the pair base is the flow base: valid invoices of each day as known each day, of the days
-- that were brought up to date.
with from_pairs as (

    select
        enterprise_id,
        direction,
        event_day,
        known_day,
        sum(valid_count) as valid_count,
        sum(valid_fen) as valid_fen
    from {{ ref('enterprise_pair_daily') }}
    where {{ since_slice('known_day') }}
    group by enterprise_id, direction, event_day, known_day

)

select *
from from_pairs
full outer join (
    select * from {{ ref('enterprise_flow_daily') }} where {{ since_slice('known_day') }}
) as flow using (enterprise_id, direction, event_day, known_day)
where
    coalesce(from_pairs.valid_count, 0L) <> coalesce(flow.valid_count, 0L)
    or coalesce(from_pairs.valid_fen, 0L) <> coalesce(flow.valid_fen, 0L)
