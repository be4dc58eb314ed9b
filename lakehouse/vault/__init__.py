"""The vault: keys of persons, tokens for their values, and the log of every clear value that was read.

It stands apart from the data: a folder of its own, a master key elsewhere, and no table or file of the lakehouse holds
what it holds. `vault.py` seals and reveals; `forms.py` is how sealed values and tokens look; `cipher.py` encrypts;
`master.py` keeps the key that wraps all others; `store.py` is the database; `access_log.py` the log; `rotation.py`
changes keys; `erasing.py` destroys those of a subject.
"""

from lakehouse.vault.vault import Item, Vault, open_vault

__all__ = ["Item", "Vault", "open_vault"]
