"""Where every column comes from and where it goes: one graph from contracts to models, read from the project's texts.

Nothing is run and no engine is needed: silver's own code is called with stand-ins for data frames, dbt's models are
rendered and parsed, and what both say in SQL is followed by one set of rules (`expressions`, `queries`).
"""
