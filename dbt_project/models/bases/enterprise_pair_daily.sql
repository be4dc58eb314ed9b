{{ config(slice=since_slice('known_day')) }}

-- Grain: enterprise × direction × counterparty × event day × known day. Signed sums over valid invoices,
-- read like enterprise_flow_daily.
select
    enterprise_id,
    direction,
    counterparty_id,
    issued_on as event_day,
    known_on as known_day,
    sum(sign) as valid_count,
    sum(sign * amount_fen) as valid_fen
from {{ ref('invoice_change') }}
where is_valid and {{ since_slice('known_on') }}
group by enterprise_id, direction, counterparty_id, issued_on, known_on
