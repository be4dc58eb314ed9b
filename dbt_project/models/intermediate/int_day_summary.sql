-- Grain: as_of × enterprise with invoices known at as_of. First and last days of all history (int_firsts); of the last full
-- year and what came after, per direction, to-the-day sums and gaps between days with valid invoices, from the daily sums
-- known at as_of.

with reached as (

    select /*+ {{ parted_for_dates('enterprise_id') }} */
        enterprise_id,
        direction,
        event_day,
        known_day,
        valid_count,
        valid_fen
    from {{ ref('enterprise_flow_daily') }}
    where {{ within_reach('event_day', 12) }}

),

states as (

    -- What is known of a day from one day on, until another (NULL: the last).
    select
        enterprise_id,
        direction,
        event_day,
        known_day,
        lead(known_day) over the_day as known_until,
        sum(valid_count) over the_day as valid_count,
        sum(valid_fen) over the_day as valid_fen
    from reached
    window the_day as (partition by enterprise_id, direction, event_day order by known_day)

),

valid_days as (

    select
        dates.as_of,
        states.enterprise_id,
        states.direction,
        states.event_day,
        states.valid_count,
        states.valid_fen,
        states.event_day < dates.month_start as in_year,
        datediff(dates.as_of, states.event_day) as days_back
    from states
    inner join {{ ref('int_as_of') }} as dates
        on states.event_day < dates.as_of
        and states.event_day >= add_months(dates.month_start, -12)
        and states.known_day <= dates.as_of
        and (states.known_until is null or states.known_until > dates.as_of)
    where states.valid_count > 0

),

with_gaps as (

    -- Of the year's days the first follows none and has no gap; the days after it are no part of it.
    select
        *,
        case when in_year then datediff(event_day, lag(event_day) over firm_days) end as gap_days
    from valid_days
    window firm_days as (partition by as_of, enterprise_id, direction order by event_day)

),

recent as (

    select
        as_of,
        enterprise_id,
        {% for direction in ['sale', 'purchase'] -%}
        {%- set of_side = "direction = '" ~ direction ~ "'" -%}
        sum(case when {{ of_side }} and days_back <= 30 then valid_count else 0L end) as {{ direction }}_count_30d,
        sum(case when {{ of_side }} and days_back <= 90 then valid_count else 0L end) as {{ direction }}_count_90d,
        sum(case when {{ of_side }} and days_back <= 30 then valid_fen else 0L end) as {{ direction }}_fen_30d,
        sum(case when {{ of_side }} and days_back <= 90 then valid_fen else 0L end) as {{ direction }}_fen_90d,
        sum(case when {{ of_side }} and days_back <= 365 then valid_fen else 0L end) as {{ direction }}_fen_365d,
        count(case when {{ of_side }} and in_year then 1 end) as {{ direction }}_active_days,
        min(case when {{ of_side }} and in_year then event_day end) as {{ direction }}_first_day_in_year,
        max(case when {{ of_side }} and in_year then event_day end) as {{ direction }}_last_day_in_year,
        max(case when {{ of_side }} then event_day end) as {{ direction }}_last_day,
        max(case when {{ of_side }} then gap_days end) as {{ direction }}_max_gap_days,
        percentile(case when {{ of_side }} then gap_days end, 0.9) as {{ direction }}_gap_days_p90{{ ',' if not loop.last }}
        {% endfor %}
    from with_gaps
    group by as_of, enterprise_id

)

select
    firsts.* except (sale_last_day, purchase_last_day),
    greatest(firsts.sale_last_day, recent.sale_last_day) as sale_last_day,
    greatest(firsts.purchase_last_day, recent.purchase_last_day) as purchase_last_day,
    recent.* except (as_of, enterprise_id, sale_last_day, purchase_last_day)
from {{ ref('int_firsts') }} as firsts
left join recent on firsts.as_of = recent.as_of and firsts.enterprise_id = recent.enterprise_id
