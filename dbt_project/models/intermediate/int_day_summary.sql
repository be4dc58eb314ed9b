-- Grain: as_of × enterprise × direction. First and last days, to-the-day sums and gaps between sale
-- (purchase) days, from the daily sums known at as_of.
with visible as (

    -- Partitioned once for all groupings and windows below.
    select /*+ repartition(dates.as_of, flow.enterprise_id, flow.direction) */
        dates.as_of,
        dates.month_start,
        flow.enterprise_id,
        flow.direction,
        flow.event_day,
        flow.invoice_count,
        flow.assumed_count,
        flow.valid_count,
        flow.valid_fen
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join {{ ref('int_as_of') }} as dates
        on flow.event_day < dates.as_of and flow.known_day <= dates.as_of

),

known_days as (

    select
        as_of,
        month_start,
        enterprise_id,
        direction,
        event_day,
        sum(invoice_count) as invoice_count,
        sum(assumed_count) as assumed_count,
        sum(valid_count) as valid_count,
        sum(valid_fen) as valid_fen
    from visible
    group by as_of, month_start, enterprise_id, direction, event_day
    having sum(invoice_count) > 0

),

marked as (

    select
        *,
        valid_count > 0 and event_day >= add_months(month_start, -12) and event_day < month_start as in_year,
        datediff(as_of, event_day) as days_back
    from known_days

),

with_gaps as (

    -- Days in the year window sort last; the first of them follows none and has no gap.
    select
        *,
        case when in_year and lag(in_year) over firm_days then
            datediff(event_day, lag(event_day) over firm_days)
        end as gap_days
    from marked
    window firm_days as (partition by as_of, enterprise_id, direction order by in_year, event_day)

)

select
    as_of,
    enterprise_id,
    direction,
    min(event_day) as first_issued_on,
    max(assumed_count) > 0 as known_at_is_assumed,
    min(case when valid_count > 0 then event_day end) as first_valid_day,
    max(case when valid_count > 0 then event_day end) as last_valid_day,
    sum(case when days_back <= 30 then valid_count else 0L end) as count_30d,
    sum(case when days_back <= 90 then valid_count else 0L end) as count_90d,
    sum(case when days_back <= 30 then valid_fen else 0L end) as fen_30d,
    sum(case when days_back <= 90 then valid_fen else 0L end) as fen_90d,
    sum(case when days_back <= 365 then valid_fen else 0L end) as fen_365d,
    count(case when in_year then 1 end) as active_days,
    min(case when in_year then event_day end) as first_day_in_year,
    max(case when in_year then event_day end) as last_day_in_year,
    max(gap_days) as max_gap_days,
    percentile(gap_days, 0.9) as gap_days_p90
from with_gaps
group by as_of, enterprise_id, direction
