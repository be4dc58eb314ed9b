{{ config(materialized='slice', slice=date_slice(var('as_of_dates'))) }}

-- Families of which a firm's values stay for a month, while nothing becomes known of the months before: computed of the
-- firms in int_enterprise_months, carried on from an earlier date of the month for the others. All that they read is
-- gold.invoice_change and what is made of it.
{%- set families = ['volume', 'shape', 'quality', 'partner', 'ticket'] %}
{%- set every_date = families_of_every_date().split() %}
with of_months as (

    select
        months.as_of,
        months.enterprise_id,
        {% for family in families -%}
        features_{{ family }}.* except (as_of, enterprise_id){{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_enterprise_months') }} as months
    {% for family in families -%}
    left join {{ ref('features_' ~ family) }} as features_{{ family }}
        on months.as_of = features_{{ family }}.as_of and months.enterprise_id = features_{{ family }}.enterprise_id
    {% endfor %}
    {%- if var('carried_from', {}) %}
    union all

    select
        carried.as_of,
        held.* except (as_of, {{ not_carried() }})
    from {{ var('features_held') }} as held
    inner join {{ ref('int_carried') }} as carried
        on held.as_of = carried.carried_from and held.enterprise_id = carried.enterprise_id
    where not carried.in_turn and {{ date_slice(var('carried_from').values() | map('string') | unique, 'held.as_of') }}
    {%- endif %}

)

select
    spine.as_of,
    spine.enterprise_id,
    spine.known_at_is_assumed,
    spine.history_months,
    of_months.* except (as_of, enterprise_id),
    {% for family in every_date -%}
    features_{{ family }}.* except (as_of, enterprise_id){{ ',' if not loop.last }}
    {% endfor %}
from {{ ref('int_spine') }} as spine
left join of_months on spine.as_of = of_months.as_of and spine.enterprise_id = of_months.enterprise_id
{% for family in every_date -%}
left join {{ ref('features_' ~ family) }} as features_{{ family }}
    on spine.as_of = features_{{ family }}.as_of and spine.enterprise_id = features_{{ family }}.enterprise_id
{% endfor %}
