{{ config(slice=since_slice('known_day')) }}

-- Grain: enterprise × direction × event day × known day. Signed sums: what is known at D of a day is the
-- sum over known_day <= D. Whole fen and counts.
select
    enterprise_id,
    direction,
    issued_on as event_day,
    known_on as known_day,
    sum(sign) as invoice_count,
    sum(case when known_at_is_assumed then sign else 0L end) as assumed_count,
    sum(case when is_valid then sign else 0L end) as valid_count,
    sum(case when is_valid then sign * amount_fen else 0L end) as valid_fen,
    sum(case when is_valid then sign * abs(amount_fen) else 0L end) as valid_abs_fen,
    sum(case when is_valid then sign * tax_fen else 0L end) as tax_fen,
    sum(case when is_valid and tax_fen = 0 then sign * abs(amount_fen) else 0L end) as untaxed_abs_fen,
    sum(case when is_red then sign else 0L end) as red_count,
    sum(case when is_red then sign * abs(amount_fen) else 0L end) as red_abs_fen,
    sum(case when is_late_red then sign * abs(amount_fen) else 0L end) as late_red_abs_fen,
    sum(case when not is_valid then sign else 0L end) as void_count,
    sum(case when not is_valid then sign * abs(amount_fen) else 0L end) as void_abs_fen
from {{ ref('invoice_change') }}
where {{ since_slice('known_on') }}
group by enterprise_id, direction, issued_on, known_on
sort by event_day
