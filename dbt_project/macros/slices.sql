{# The slice of features that a run brings up to date: those of its dates. `lakehouse.known` renders it for Python. #}
{% macro date_slice(dates, column='as_of') -%}
    {{ column }} in (date '{{ dates | join("', date '") }}')
{%- endmacro %}

{# The slice of a base that a run brings up to date: what became known from the variable `since` on. #}
{% macro since_slice(known_day) -%}
    {{ known_day }} >= date '{{ var('since', none) or '0001-01-01' }}'
{%- endmacro %}

{# The first day at which windows of full months count what happened on a day and became known on another. #}
{% macro counts_from(event_day, known_day) -%}
    greatest({{ known_day }}, add_months(trunc({{ event_day }}, 'MM'), 1))
{%- endmacro %}

{# What counts from the variable `since` on or later: known since then, or of a month that was not over the day before. #}
{% macro counts_since(event_day, known_day) -%}
    {%- set since = var('since', none) -%}
    {% if since -%}
    ({{ known_day }} >= date '{{ since }}' or {{ event_day }} >= trunc(date_sub(date '{{ since }}', 1), 'MM'))
    {%- else -%}true{%- endif %}
{%- endmacro %}

{#
    Of a check of everything known, the month whose turn it is where bases are kept: another each day, from that of the date
    on so many back, the last together with all before it.
#}
{% macro month_in_turn(event_day, date, months) -%}
    {%- set back = "pmod(unix_date(date '" ~ date ~ "'), " ~ months ~ ")" -%}
    {%- set first = "add_months(trunc(date '" ~ date ~ "', 'MM'), -" ~ back ~ ")" -%}
    {% if var('keep', false) -%}
    (({{ event_day }} >= {{ first }} or {{ back }} = {{ months - 1 }}) and {{ event_day }} < add_months({{ first }}, 1))
    {%- else -%}true{%- endif %}
{%- endmacro %}

{#
    What windows of so many full months of the asked dates, and of the days after them, can reach. It says no more than the
    joins with the dates, but in constants: by these files are passed over.
#}
{% macro within_reach(event_day, months) -%}
    {%- set dates = var('as_of_dates') | map('string') | sort -%}
    {% if dates -%}
    ({{ event_day }} >= add_months(trunc(date '{{ dates | first }}', 'MM'), -{{ months }}) and {{ event_day }} < date '{{ dates | last }}')
    {%- else -%}true{%- endif %}
{%- endmacro %}

{#
    A hint for rows that are handed to dates after it: partitioned once for all that is grouped or ordered then, and into as
    many parts as there are dates, for to each part come many times its rows; for few dates, as their size asks for.
#}
{% macro parted_for_dates(columns) -%}
    {%- set dates = var('as_of_dates') | length -%}
    repartition({{ dates ~ ', ' if dates > 8 }}{{ columns }})
{%- endmacro %}

{# Families of features that are computed at every date; the values of all others stay for a month. #}
{% macro families_of_every_date() -%}
    days
{%- endmacro %}

{# What is computed anew at every date, beside as_of: the columns of those families, and what stands with the key. #}
{% macro not_carried() -%}
    {%- set names = ['known_at_is_assumed', 'history_months'] -%}
    {%- for family in families_of_every_date().split() if execute -%}
        {%- set model = graph.nodes.values() | selectattr('name', 'equalto', 'features_' ~ family) | first -%}
        {%- set _ = names.extend(model.columns.keys() | reject('in', ['as_of', 'enterprise_id'])) -%}
    {%- endfor -%}
    {{ names | join(', ') }}
{%- endmacro %}

{# The dates that are carried on, each with the earlier one that it is carried on from (as_of → carried_from). #}
{% macro carried_dates(carried) -%}
    select *
    from values {% for as_of, before in carried.items() -%}
        (date '{{ as_of }}', date '{{ before }}'){{ ', ' if not loop.last }}
    {%- endfor %} as told (as_of, carried_from)
{%- endmacro %}

{# Where windows of some firms are carried on: keeps of a join the firms of whom they are computed. #}
{% macro of_computed(enterprise_id, as_of='dates.as_of') -%}
    {%- if var('carried_from', {}) -%}
    left semi join {{ ref('int_enterprise_months') }} as computed
        on {{ as_of }} = computed.as_of and {{ enterprise_id }} = computed.enterprise_id
    {%- endif -%}
{%- endmacro %}

{# The same where rows have no date yet: the firms of whom windows are computed at any. #}
{% macro and_computed(enterprise_id) -%}
    {%- if var('carried_from', {}) -%}
    and {{ enterprise_id }} in (select enterprise_id from {{ ref('int_enterprise_months') }})
    {%- endif -%}
{%- endmacro %}

{#
    Of rows per direction, one row with both sides: `sale_…` and `purchase_…` of each column. To be grouped by the rest of the
    key. Joins with either side would read all that is below twice, since the direction is asked of the files.
#}
{% macro both_sides(columns) -%}
    {% for side in ['sale', 'purchase'] -%}
    {%- set last_side = loop.last -%}
    {%- for column in columns -%}
    max(case when direction = '{{ side }}' then {{ column }} end) as {{ side }}_{{ column }}{{ ',' if not (last_side and loop.last) }}
    {% endfor -%}
    {%- endfor -%}
{%- endmacro %}
