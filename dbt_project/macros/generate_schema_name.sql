{# One schema for everything built here: the target's, never a suffix of it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}
{%- endmacro %}
