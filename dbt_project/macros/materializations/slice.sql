{#
    A table of which a run writes one slice: the rows that meet the config `slice` replace what the slice held, in one
    commit that may be repeated. Without the variable `keep`, or where there is no table yet, it is made as a whole.
#}
{% materialization slice, adapter='spark' -%}
    {%- set held = adapter.get_relation(database=database, schema=schema, identifier=model['alias']) -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        {%- if held is not none and var('keep', false) -%}
            insert into {{ this }} replace where {{ config.require('slice') }}
            {{ compiled_code }}
        {%- else -%}
            {{ create_table_as(False, this, compiled_code) }}
        {%- endif -%}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this]}) }}
{%- endmaterialization %}
