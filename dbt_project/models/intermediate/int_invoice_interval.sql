{{ config(materialized='view') }}

-- Grain: invoice version that was current at some time. It is current at D when
-- known_day <= D and (superseded_day is null or superseded_day > D). Where bases are brought up to date (`since`), only
-- invoices that something was told of since then: of others no version begins or ends after it.
{%- set since = var('since', none) %}
with told as (

    select *
    from {{ ref('stg_vat_invoice') }}
    {%- if since %}
    where invoice_id in (select invoice_id from {{ ref('stg_vat_invoice') }} where known_day >= date '{{ since }}')
    {%- endif %}

),

-- Versions count from 1: what supersedes another is among those after it, a few in a hundred.
later as (

    select invoice_id, collect_list(struct(version_no, known_day)) as versions
    from told
    where version_no > 1
    group by invoice_id

),

versions as (

    select {% if var('broadcast_corrections', true) %}/*+ broadcast(later) */{% endif %}
        told.*,
        array_min(transform(
            filter(later.versions, x -> x.version_no > told.version_no), x -> x.known_day
        )) as superseded_day
    from told
    left join later on told.invoice_id = later.invoice_id

),

reversed as (

    select distinct
        red.invoice_id,
        red.version_no,
        datediff(red.issued_on, blue.issued_on) > 90 as is_late_red
    from told as red
    inner join {{ ref('stg_vat_invoice') }} as blue
        -- A red letter may name an invoice that came in after it; its day was not known then.
        on red.reverses_invoice_id = blue.invoice_id and blue.known_day <= red.known_day
    where red.is_red

)

select
    versions.invoice_id,
    versions.version_no,
    versions.enterprise_id,
    versions.direction,
    versions.counterparty_id,
    versions.invoice_number,
    versions.issued_on,
    versions.amount_fen,
    versions.tax_fen,
    versions.total_fen,
    versions.is_valid,
    versions.is_red,
    coalesce(reversed.is_late_red, false) as is_late_red,
    versions.known_day,
    versions.superseded_day,
    versions.known_at_is_assumed
from versions
left join reversed using (invoice_id, version_no)
where versions.superseded_day is null or versions.superseded_day > versions.known_day
