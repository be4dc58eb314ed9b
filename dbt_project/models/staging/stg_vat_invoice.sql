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
    coalesce(red_letter_link = 'linked' and datediff(issued_on, reversed_on) > 90, false) as is_late_red,
    {{ known_day('known_at') }} as known_day,
    {{ known_day('superseded_at') }} as superseded_day,
    known_at_is_assumed,
    -- By these files are passed over.
    known_at,
    superseded_at
from {{ source('silver', 'vat_invoice') }}
