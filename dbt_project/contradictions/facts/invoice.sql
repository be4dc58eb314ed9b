{# One row per valid invoice as known when its month closed; red letters have negative amounts. Yuan without tax. #}
select told.invoice_number, told.issued_on, {{ month('told.issued_on') }} as month,
    {{ closes_on('told.issued_on') }} as closes_on, told.known_on,
    coalesce(seller.enterprise_id, told.seller_tax_number) as seller_id,
    coalesce(buyer.enterprise_id, told.buyer_tax_number) as buyer_id,
    told.good, told.amount_excl_tax_cny as amount_cny, told.amount_incl_tax_cny as total_cny,
    nullif(regexp_extract(told.remark, '(PO[0-9]+)', 1), '') as order_number,
    told.reverses_invoice_number, told.amount_excl_tax_cny < 0 as is_red
from {{ versions('ledger_invoice') }} as told
{{ owner('vat_invoices', 'told.seller_tax_number', closes_on('told.issued_on'), 'seller') }}
{{ owner('vat_invoices', 'told.buyer_tax_number', closes_on('told.issued_on'), 'buyer') }}
where told.status <> 'void' and {{ stands_on('told', closes_on('told.issued_on')) }}
