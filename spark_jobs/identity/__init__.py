"""Who is who: a ledger of what departments call enterprises, and which enterprise each name and key is, in two times.

`names` and `codes` read what is written; `mentions` keeps it once; `model` and `compare` weigh pairs with Splink;
`evidence`, `alone` and `decide` say who each mention is at each moment; `handover` adds days on which keys pass on;
`ledger` puts it together. All work on Arrow tables in DuckDB; `job` alone knows the lakehouse.
"""
