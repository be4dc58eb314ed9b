{{ config(materialized='slice', slice=date_slice(var('as_of_dates'))) }}

with spine as (

    select as_of, enterprise_id, known_at_is_assumed, history_months
    from {{ ref('int_enterprise_months') }}

)

select
    spine.*,
    features_volume.* except (as_of, enterprise_id),
    features_shape.* except (as_of, enterprise_id),
    features_quality.* except (as_of, enterprise_id),
    features_partner.* except (as_of, enterprise_id),
    features_days.* except (as_of, enterprise_id),
    features_ticket.* except (as_of, enterprise_id)
from spine
{% for family in ['volume', 'shape', 'quality', 'partner', 'days', 'ticket'] -%}
left join {{ ref('features_' ~ family) }} as features_{{ family }}
    on spine.as_of = features_{{ family }}.as_of and spine.enterprise_id = features_{{ family }}.enterprise_id
{% endfor %}
