{{ config(slice=since_slice('counts_from')) }}

-- Grain: enterprise × direction × counterparty × event month × day from which month windows count it. Signed sums over
-- valid invoices. No window has a month before it is over, so what became known by then counts from the next month's
-- first day on; only what came later needs a row of its own.
select
    enterprise_id,
    direction,
    counterparty_id,
    trunc(issued_on, 'MM') as event_month,
    {{ counts_from('issued_on', 'known_on') }} as counts_from,
    sum(sign) as valid_count,
    sum(sign * amount_fen) as valid_fen
from {{ ref('invoice_change') }}
where is_valid and {{ counts_since('issued_on', 'known_on') }}
group by enterprise_id, direction, counterparty_id, trunc(issued_on, 'MM'), {{ counts_from('issued_on', 'known_on') }}
sort by event_month
