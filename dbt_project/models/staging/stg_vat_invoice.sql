select
    invoice_id,
    version_no,
    enterprise_id,
    direction,
    counterparty_id,
    invoice_number,
    issued_on,
    cast(amount_excl_tax_cny * 100 as bigint) as amount_fen,
    cast(tax_cny * 100 as bigint) as tax_fen,
    cast(amount_incl_tax_cny * 100 as bigint) as total_fen,
    status = 'valid' as is_valid,
    status = 'valid' and is_red_letter as is_red,
    case when red_letter_link = 'linked' then reverses_invoice_id end as reverses_invoice_id,
    -- The first day at whose 00:00 the version is known.
    cast(known_at as date) + case when known_at > date_trunc('day', known_at) then 1 else 0 end as known_day,
    known_at_is_assumed
from {{ source('silver', 'vat_invoice') }}
