-- Grain: invoice version that was current at some time. It is current at D when
-- known_day <= D and (superseded_day is null or superseded_day > D).
with versions as (

    select
        *,
        {{ superseded(['invoice_id'], 'known_day') }} as superseded_day
    from {{ ref('stg_vat_invoice') }}

),

reversed as (

    select distinct
        red.invoice_id,
        red.version_no,
        datediff(red.issued_on, blue.issued_on) > 90 as is_late_red
    from {{ ref('stg_vat_invoice') }} as red
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
