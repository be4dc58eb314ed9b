-- Every feature lies within the `bounds` of its definition; shares between 0 and 1 among them.
{%- set checks = [] -%}
{%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith('features_') -%}
    {%- for column in node.columns.values() if column.config.meta.bounds -%}
        {%- set low, high = column.config.meta.bounds[0], column.config.meta.bounds[1] -%}
        {%- if low is not none -%}{%- do checks.append((column.name, column.name ~ ' < ' ~ low ~ ' - 1e-9')) -%}{%- endif -%}
        {%- if high is not none -%}{%- do checks.append((column.name, column.name ~ ' > ' ~ high ~ ' + 1e-9')) -%}{%- endif -%}
    {%- endfor -%}
{%- endfor %}
{%- if execute and not checks %}
    {{ exceptions.raise_compiler_error("no feature declares bounds: the test would pass without looking") }}
{%- endif %}

select *
from (
    select
        as_of,
        enterprise_id,
        filter(
            array(
                {% for name, condition in checks -%}
                case when {{ condition }} then '{{ name }}' end{{ ',' if not loop.last }}
                {% endfor -%}
                {%- if not checks -%} cast(null as string) {%- endif -%}
            ),
            name -> name is not null
        ) as out_of_bounds
    from {{ ref('enterprise_features') }}
    where as_of in (select as_of from {{ ref('int_as_of') }})
)
where size(out_of_bounds) > 0
