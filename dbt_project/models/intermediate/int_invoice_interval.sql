{{ config(materialized='view') }}

-- Grain: invoice version that was current at some time. It is current at D when
-- known_day <= D and (superseded_day is null or superseded_day > D). Where bases are brought up to date (`since`), only
-- versions that are known or superseded since then.
{%- set since = var('since', none) %}
select * except (known_at, superseded_at)
from {{ ref('stg_vat_invoice') }}
where
    (superseded_day is null or superseded_day > known_day)
    {%- if since %}
    and (
        known_at > cast(date_sub(date '{{ since }}', 1) as timestamp)
        or superseded_at > cast(date_sub(date '{{ since }}', 1) as timestamp)
    )
    {%- endif %}
