{# The slice of features that a run brings up to date: those of its dates. `lakehouse.known` renders it for Python. #}
{% macro date_slice(dates) -%}
    as_of in (date '{{ dates | join("', date '") }}')
{%- endmacro %}

{# The slice of a base that a run brings up to date: what became known from the variable `since` on. #}
{% macro since_slice(known_day) -%}
    {{ known_day }} >= date '{{ var('since', none) or '0001-01-01' }}'
{%- endmacro %}

{# Of a check of everything known, the thirty-second part of the enterprises whose turn it is where bases are kept. #}
{% macro whose_turn(date) -%}
    {% if var('keep', false) %}pmod(xxhash64(enterprise_id), 32) = pmod(unix_date(date '{{ date }}'), 32){% else %}true{% endif %}
{%- endmacro %}
