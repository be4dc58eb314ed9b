{{ config(materialized='view') }}

{%- set dates = var('as_of_dates') -%}
{%- if execute and not dates -%}
    {{ exceptions.raise_compiler_error("no as_of_dates were given; pass --vars '{as_of_dates: [2020-03-01]}'") }}
{%- endif -%}

-- Grain: asked as-of date, with the first day of its month, where month windows end.
select
    as_of,
    trunc(as_of, 'MM') as month_start,
    year(as_of) * 12 + month(as_of) as month_serial
from (select explode(array({% for day in dates %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor %})) as as_of)
