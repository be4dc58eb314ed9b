{{ config(materialized='view') }}

-- Grain: invoice version that was current at some time, of the days that year windows of the asked dates can reach;
-- current at D when known_day <= D and (superseded_day is null or superseded_day > D).
with reached as (

    select *
    from {{ ref('invoice_change') }}
    where {{ within_reach('issued_on', 12) }}

)

select
    told.* except (known_on, sign),
    told.known_on as known_day,
    taken_back.known_on as superseded_day
from reached as told
left join (select invoice_id, version_no, known_on from reached where sign < 0) as taken_back
    using (invoice_id, version_no)
where told.sign > 0
