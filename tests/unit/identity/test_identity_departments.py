"""What is read of the contracts: every department that names firms, and no sealed field."""

from __future__ import annotations

import re

import pytest

from lakehouse import contracts
from lakehouse.settings import PROJECT_DIR
from spark_jobs.identity import departments, handover
from spark_jobs.identity.mentions import ROWS

KNOWN = contracts.load_all(PROJECT_DIR / "contracts")
SOURCES = list(departments.sources(KNOWN))


def test_every_department_that_names_firms_is_read() -> None:
    read = {KNOWN[s.contract].feed.department for s in SOURCES}
    assert read == {
        "business_registry", "tax_returns", "vat_invoices", "social_insurance", "housing_fund", "customs", "penalties",
        "courts", "electricity", "water", "gas", "environment", "land", "payments", "core_bank", "bureau", "platform",
        "field",
    }  # fmt: skip
    assert set(handover.PASSED_ON) < read
    assert {c.id for c in KNOWN.values() if c.silver and c.silver.subject} <= {s.contract for s in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"{s.contract}-{s.columns['local_key'][:12]}")
def test_a_source_reads_columns_that_its_contract_has_and_that_are_plain(source: departments.Source) -> None:
    contract = KNOWN[source.contract]
    assert set(source.columns) <= set(ROWS.names)
    texts = [*source.columns.values(), source.where, departments.DATED.get(source.contract, "")]
    words = set(re.findall(r"[a-z_]{3,}", re.sub(r"'[^']*'", "", " ".join(texts))))
    columns = {c.name for c in contract.columns}
    assert words - columns <= {"coalesce", "concat", "true"}
    sealed = words & set(contract.personal_columns)
    assert not sealed or (source.contract == "courts__case" and "cause IN" in source.where)


def test_types_of_arrow_are_told_in_the_engines_words() -> None:
    assert departments.ddl(ROWS).endswith("valid_from date, known_at timestamp, known_at_is_assumed boolean")
