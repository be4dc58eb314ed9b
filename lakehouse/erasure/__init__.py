"""Proof of erasure: `needles.py` is how a value may be written, `search.py` looks for it in every file of a lakehouse,
`certificate.py` states what was removed. The erasure itself is in `spark_jobs.erasure`, the vault's part in
`lakehouse.vault.erasing`.
"""
