{# What readers get is built in the target's schema; steps on the way go to one of their own, never published. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('work_schema', 'gold_work') if custom_schema_name == 'work' else target.schema }}
{%- endmacro %}
