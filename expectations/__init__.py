"""Gates: what a table must satisfy before readers see it, checked with Great Expectations.

`suites` says what is expected (from contracts, or by hand where tables meet), `gate` checks what was built
and publishes it whole or not at all, `report` writes what was found as a page.
"""
