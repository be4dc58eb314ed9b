"""Contracts as texts that people write: drafted from a sample, tried on a source, compared before they change.

None of it needs the engine: samples are read with pyarrow, rules are tried in DuckDB, readers are found in SQL texts.
"""
