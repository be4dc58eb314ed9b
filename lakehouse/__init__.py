"""The kernel of vinelake: settings, engine, tables, contracts, ledger, time, errors and the command line."""
