{# One row per invoice that is valid by its newest version and no red letter: parties, amounts, its order by the remark. #}
select told.invoice_number, told.issued_on, told.amount_excl_tax_cny as amount_cny, told.amount_incl_tax_cny as total_cny,
    coalesce(seller.enterprise_id, told.seller_tax_number) as seller_id,
    coalesce(buyer.enterprise_id, told.buyer_tax_number) as buyer_id, told.good,
    nullif(regexp_extract(told.remark, '(PO[0-9]+)', 1), '') as order_number
from {{ versions('ledger_invoice') }} as told
left join {{ fact('first_owner') }} as seller
    on seller.department = 'vat_invoices' and seller.department_key = told.seller_tax_number
left join {{ fact('first_owner') }} as buyer
    on buyer.department = 'vat_invoices' and buyer.department_key = told.buyer_tax_number
where told.replaced_on is null and told.status <> 'void' and told.amount_excl_tax_cny > 0
