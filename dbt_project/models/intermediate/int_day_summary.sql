-- Grain: as_of × enterprise × direction. First and last days of all history, to-the-day sums and gaps between sale
-- (purchase) days of the last full year and what came after, from the daily sums known at as_of.
with asked as (

    select array_sort(collect_list(as_of)) as dates from {{ ref('int_as_of') }}

),

told as (

    -- Each row counts from the first asked date on by which it is known and its day over. Partitioned once for all
    -- groupings and windows of the firsts.
    select /*+ repartition(flow.enterprise_id, flow.direction) */
        flow.enterprise_id,
        flow.direction,
        flow.event_day,
        flow.invoice_count,
        flow.assumed_count,
        flow.valid_count,
        try_element_at(filter(asked.dates, day -> flow.known_day <= day and flow.event_day < day), 1) as first_as_of
    from {{ ref('enterprise_flow_daily') }} as flow
    cross join asked
    where exists(asked.dates, day -> flow.known_day <= day and flow.event_day < day)

),

bands as (

    select
        enterprise_id,
        direction,
        event_day,
        first_as_of,
        sum(invoice_count) as invoice_count,
        sum(assumed_count) as assumed_count,
        sum(valid_count) as valid_count
    from told
    group by enterprise_id, direction, event_day, first_as_of

),

states as (

    -- What is known of a day from one asked date on, until another (NULL: the last).
    select
        enterprise_id,
        direction,
        event_day,
        first_as_of,
        lead(first_as_of) over the_day as until_as_of,
        sum(invoice_count) over the_day as invoice_count,
        sum(assumed_count) over the_day as assumed_count,
        sum(valid_count) over the_day as valid_count
    from bands
    window the_day as (partition by enterprise_id, direction, event_day order by first_as_of)

),

spans as (

    select
        enterprise_id,
        direction,
        first_as_of,
        until_as_of,
        min(event_day) as first_issued_on,
        max(assumed_count) as assumed_count,
        min(case when valid_count > 0 then event_day end) as first_valid_day,
        max(case when valid_count > 0 then event_day end) as last_valid_day
    from states
    where invoice_count > 0
    group by enterprise_id, direction, first_as_of, until_as_of

),

firsts as (

    select
        dates.as_of,
        spans.enterprise_id,
        spans.direction,
        min(spans.first_issued_on) as first_issued_on,
        max(spans.assumed_count) > 0 as known_at_is_assumed,
        min(spans.first_valid_day) as first_valid_day,
        max(spans.last_valid_day) as last_valid_day
    from spans
    inner join {{ ref('int_as_of') }} as dates
        on spans.first_as_of <= dates.as_of and (spans.until_as_of is null or spans.until_as_of > dates.as_of)
    group by dates.as_of, spans.enterprise_id, spans.direction

),

visible as (

    -- Partitioned once for all groupings and windows of the year.
    select /*+ repartition(dates.as_of, flow.enterprise_id, flow.direction) */
        dates.as_of,
        dates.month_start,
        flow.enterprise_id,
        flow.direction,
        flow.event_day,
        flow.valid_count,
        flow.valid_fen
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join {{ ref('int_as_of') }} as dates
        on flow.event_day < dates.as_of
        and flow.event_day >= add_months(dates.month_start, -12)
        and flow.known_day <= dates.as_of
    where {{ within_reach('flow.event_day', 12) }}

),

valid_days as (

    select
        as_of,
        month_start,
        enterprise_id,
        direction,
        event_day,
        sum(valid_count) as valid_count,
        sum(valid_fen) as valid_fen
    from visible
    group by as_of, month_start, enterprise_id, direction, event_day
    having sum(valid_count) > 0

),

marked as (

    select
        *,
        event_day < month_start as in_year,
        datediff(as_of, event_day) as days_back
    from valid_days

),

with_gaps as (

    -- Of the year's days the first follows none and has no gap; the days after it are no part of it.
    select
        *,
        case when in_year then datediff(event_day, lag(event_day) over firm_days) end as gap_days
    from marked
    window firm_days as (partition by as_of, enterprise_id, direction order by event_day)

),

recent as (

    select
        as_of,
        enterprise_id,
        direction,
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

)

select
    as_of,
    enterprise_id,
    direction,
    firsts.first_issued_on,
    firsts.known_at_is_assumed,
    firsts.first_valid_day,
    firsts.last_valid_day,
    coalesce(recent.count_30d, 0L) as count_30d,
    coalesce(recent.count_90d, 0L) as count_90d,
    coalesce(recent.fen_30d, 0L) as fen_30d,
    coalesce(recent.fen_90d, 0L) as fen_90d,
    coalesce(recent.fen_365d, 0L) as fen_365d,
    coalesce(recent.active_days, 0L) as active_days,
    recent.first_day_in_year,
    recent.last_day_in_year,
    recent.max_gap_days,
    recent.gap_days_p90
from firsts
left join recent using (as_of, enterprise_id, direction)
