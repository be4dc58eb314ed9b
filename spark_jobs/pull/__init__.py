"""Pulls: a feed's new records are fetched by its contract's protocol and landed as a batch that holds the next cursor.

`runner.py` runs one feed; `draft.py` keeps what was received so far, so that a kill loses nothing; `ledger.py`
remembers every attempt. A protocol is one module with one `Connector`: it fetches parts and knows nothing of landing.
"""
