{# Division comes last and on doubles. NULL where the divisor is not positive. #}
{% macro ratio(part, whole) -%}
    cast({{ part }} as double) / case when {{ whole }} > 0 then cast({{ whole }} as double) end
{%- endmacro %}

{# (x - y) / (|x| + |y|); NULL where both are 0. #}
{% macro symmetric_ratio(x, y) -%}
    cast({{ x }} - {{ y }} as double) / nullif(cast(abs({{ x }}) + abs({{ y }}) as double), 0.0D)
{%- endmacro %}

{# Whole fen to yuan. #}
{% macro cny(fen) -%}
    cast({{ fen }} as double) / 100.0D
{%- endmacro %}

{# ln(1 + yuan), red totals as 0. #}
{% macro log_cny(fen) -%}
    ln(1.0D + greatest(cast({{ fen }} as double), 0.0D) / 100.0D)
{%- endmacro %}
