{{ config(materialized='ephemeral') }}

-- Grain: as_of × enterprise with invoices known at as_of: first days of all history, and last ones. `sale_last_day` and
-- `purchase_last_day` may be NULL or too early where the year before as_of has a valid day: int_day_summary reads that year.
--
-- Where every date can be carried on (`carried_from`), what is held of the earlier date and what counts since then tell
-- them without the days of all history; these are read of a firm alone that lost the very day that is looked for.
{%- set carried = var('carried_from', {}) if var('carried_from', {}) | length == var('as_of_dates') | length else {} %}
{%- set sides = {'sale': 'sales', 'purchase': 'purchase'} %}

with
{%- if carried %}
{%- set since = carried.values() | map('string') | min %}
dates as (

    {{ carried_dates(carried) }}

),

-- What counts at as_of and did not at the earlier date: known since, or of days since.
news as (

    select
        dates.as_of,
        flow.enterprise_id,
        flow.direction,
        flow.event_day,
        sum(flow.invoice_count) as invoice_count,
        sum(flow.assumed_count) as assumed_count,
        sum(flow.valid_count) as valid_count
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join dates
        on greatest(flow.known_day, date_add(flow.event_day, 1)) > dates.carried_from
        and greatest(flow.known_day, date_add(flow.event_day, 1)) <= dates.as_of
    where flow.known_day > date '{{ since }}' or flow.event_day >= date '{{ since }}'
    group by dates.as_of, flow.enterprise_id, flow.direction, flow.event_day

),

-- `gained` and `lost`: days on which invoices count that did not, or the other way round.
changed as (

    select
        as_of,
        enterprise_id,
        min(case when invoice_count > 0 then event_day end) as gained_first,
        min(case when invoice_count < 0 then event_day end) as lost_first,
        max(assumed_count) > 0 as gained_assumed,
        min(assumed_count) < 0 as lost_assumed,
        {% for side in sides -%}
        {%- set of_side = "direction = '" ~ side ~ "'" -%}
        min(case when {{ of_side }} and valid_count > 0 then event_day end) as {{ side }}_gained_first,
        max(case when {{ of_side }} and valid_count > 0 then event_day end) as {{ side }}_gained_last,
        min(case when {{ of_side }} and valid_count < 0 then event_day end) as {{ side }}_lost_first,
        max(case when {{ of_side }} and valid_count < 0 then event_day end) as {{ side }}_lost_last,
        count(case when {{ of_side }} and valid_count < 0 then 1 end) as {{ side }}_lost_days{{ ',' if not loop.last }}
        {% endfor %}
    from news
    group by as_of, enterprise_id

),

held as (

    select
        dates.as_of,
        features.enterprise_id,
        features.known_at_is_assumed,
        date_sub(features.as_of, features.invoice_tenure_days) as first_issued_on,
        date_sub(features.as_of, features.sales_tenure_days) as sale_first_day,
        {% for side, name in sides.items() -%}
        date_sub(features.as_of, features.since_last_{{ side }}_days) as {{ side }}_last_day,
        features.{{ name }}_active_12m_days as {{ side }}_active_days{{ ',' if not loop.last }}
        {% endfor %}
    from {{ var('features_held') }} as features
    inner join dates on features.as_of = dates.carried_from
    where {{ date_slice(carried.values() | map('string') | unique, 'features.as_of') }}

),

carried as (

    select
        as_of,
        enterprise_id,
        least(held.first_issued_on, changed.gained_first) as first_issued_on,
        coalesce(held.known_at_is_assumed, false) or coalesce(changed.gained_assumed, false) as known_at_is_assumed,
        least(held.sale_first_day, changed.sale_gained_first) as sale_first_day,
        {% for side in sides -%}
        greatest(
            case when changed.{{ side }}_lost_last is null or changed.{{ side }}_lost_last < held.{{ side }}_last_day
                then held.{{ side }}_last_day
            end,
            changed.{{ side }}_gained_last
        ) as {{ side }}_last_day,
        {% endfor -%}
        -- The first day is gone; or the last one, and maybe with it all valid days of the year before.
        coalesce(held.known_at_is_assumed and changed.lost_assumed, false)
        or coalesce(changed.lost_first <= held.first_issued_on, false)
        or coalesce(changed.sale_lost_first <= held.sale_first_day, false)
        {% for side in sides -%}
        or coalesce(
            changed.{{ side }}_lost_last >= held.{{ side }}_last_day
            and changed.{{ side }}_lost_days >= held.{{ side }}_active_days, false
        )
        {% endfor -%}
        as is_lost
    from held
    full outer join changed using (as_of, enterprise_id)
    -- Who is registered and has no invoice is no firm of this table.
    where held.first_issued_on is not null or changed.gained_first is not null

),
{%- endif %}
asked as (

    select as_of, lag(as_of, 1, date '0001-01-01') over (order by as_of) as as_of_before from {{ ref('int_as_of') }}

),

told as (

    -- Each row counts from the first asked date on by which it is known and its day over. Partitioned once for all
    -- groupings and windows.{{ ' Nothing is read where no firm lost a day: who did is known before.' if carried }}
    select /*+ repartition(flow.enterprise_id), broadcast(asked){{ ', broadcast(carried)' if carried }} */
        flow.enterprise_id,
        flow.direction,
        flow.event_day,
        flow.invoice_count,
        flow.assumed_count,
        flow.valid_count,
        asked.as_of as first_as_of
    from {{ ref('enterprise_flow_daily') }} as flow
    inner join asked
        on greatest(flow.known_day, date_add(flow.event_day, 1)) > asked.as_of_before
        and greatest(flow.known_day, date_add(flow.event_day, 1)) <= asked.as_of
    {% if carried -%}
    left semi join carried on carried.is_lost and flow.enterprise_id = carried.enterprise_id
    {% endif -%}

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

computed as (

    select
        dates.as_of,
        spans.enterprise_id,
        min(spans.first_issued_on) as first_issued_on,
        max(spans.assumed_count) > 0 as known_at_is_assumed,
        min(case when spans.direction = 'sale' then spans.first_valid_day end) as sale_first_day,
        max(case when spans.direction = 'sale' then spans.last_valid_day end) as sale_last_day,
        max(case when spans.direction = 'purchase' then spans.last_valid_day end) as purchase_last_day
    from spans
    inner join {{ ref('int_as_of') }} as dates
        on spans.first_as_of <= dates.as_of and (spans.until_as_of is null or spans.until_as_of > dates.as_of)
    {% if carried -%}
    left semi join carried
        on carried.is_lost and dates.as_of = carried.as_of and spans.enterprise_id = carried.enterprise_id
    {% endif -%}
    group by dates.as_of, spans.enterprise_id

)

select * from computed
{%- if carried %}
union all
select as_of, enterprise_id, first_issued_on, known_at_is_assumed, sale_first_day, sale_last_day, purchase_last_day
from carried
where not is_lost
{%- endif %}
