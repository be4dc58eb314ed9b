{# The one definition of what was known when; `lakehouse.known` renders it for Python and SQL. #}

{# When a version stops being the one that counts: as soon as a later one of its record is known; NULL while none is. #}
{% macro superseded(keys, known='known_at') -%}
    min({{ known }}) over (
        partition by {{ keys | join(', ') }} order by version_no
        range between 1 following and unbounded following
    )
{%- endmacro %}

{#
    The rows of a table as known at a moment: of each record the highest `version_no` among those known by then. A record
    whose version says `is_deleted` is gone. With `effective_on`, of rows that hold for a time only those that hold on
    that day: from `effective_from` on, before `effective_to`.
#}
{% macro as_known(relation, keys, moment, known='known_at', deletes=false, effective_on=none) -%}
    select * except (superseded_when)
    from (select *, {{ superseded(keys, known) }} as superseded_when from {{ relation }})
    where {{ known }} <= {{ moment }} and (superseded_when is null or superseded_when > {{ moment }})
    {%- if deletes %} and not is_deleted{% endif %}
    {%- if effective_on %}
    and coalesce(effective_from <= {{ effective_on }}, true) and coalesce(effective_to > {{ effective_on }}, true)
    {%- endif %}
{%- endmacro %}

{# The first day at whose 00:00 an instant is past; what is known at 00:00 sharp counts for that day. #}
{% macro known_day(instant) -%}
    cast({{ instant }} + interval '86399.999999' second as date)
{%- endmacro %}
