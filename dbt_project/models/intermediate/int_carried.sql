{%- set carried = var('carried_from', {}) -%}
{{ config(enabled=carried | length > 0) }}

-- Grain: as_of × enterprise of whom, since an earlier date of the same month, nothing became known of months that were
-- over: windows of full months hold what they held then, and are carried on. `in_turn`: whom they are computed of all
-- the same, another part of the firms each day, to be compared (tests/pipeline/carried_are_computed_alike.sql).
{%- set since = carried.values() | map('string') | min %}
{%- set news_since -%}
    known_on > date '{{ since }}' and issued_on < trunc(date '{{ carried.keys() | map('string') | max }}', 'MM')
{%- endset %}
{%- set days = [] %}
{%- if execute %}
{%- set bought -%}
    select distinct issued_on from {{ ref('invoice_change') }} where direction = 'purchase' and {{ news_since }}
{%- endset %}
{%- set days = run_query(bought).columns[0].values() %}
{%- endif %}
with dates as (

    {{ carried_dates(carried) }}

),

news as (

    select
        dates.as_of,
        change.enterprise_id,
        change.direction,
        coalesce(change.invoice_number, change.invoice_id) as invoice_number,
        change.issued_on,
        change.amount_fen
    from (select * from {{ ref('invoice_change') }} where {{ news_since }}) as change
    inner join dates
        on change.known_on > dates.carried_from
        and change.known_on <= dates.as_of
        and change.issued_on < trunc(dates.as_of, 'MM')

),

touched as (

    select as_of, enterprise_id from news
    {% if days -%}
    union
    -- Whether a sale counts as related trade hangs on what its buyer has of it.
    select news.as_of, sale.enterprise_id
    from (
        select *
        from {{ ref('invoice_change') }}
        where
            direction = 'sale' and sign > 0
            and issued_on in ({% for day in days %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor %})
    ) as sale
    inner join news
        on sale.issued_on = news.issued_on
        and sale.amount_fen = news.amount_fen
        and coalesce(sale.invoice_number, sale.invoice_id) = news.invoice_number
    where news.direction = 'purchase'
    {%- endif %}

)

select
    dates.as_of,
    dates.carried_from,
    held.enterprise_id,
    pmod(xxhash64(held.enterprise_id), 31) = day(dates.as_of) - 1 as in_turn
from (
    select as_of, enterprise_id
    from {{ var('features_held') }}
    where {{ date_slice(carried.values() | map('string') | unique) }}
) as held
inner join dates on held.as_of = dates.carried_from
left join touched on dates.as_of = touched.as_of and held.enterprise_id = touched.enterprise_id
where touched.enterprise_id is null
