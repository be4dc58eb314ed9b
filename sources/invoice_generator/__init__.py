"""A small deterministic generator of VAT invoices, a business registry and a loan ledger."""
