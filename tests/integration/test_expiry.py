"""Personal data whose retention ended: whom no contract keeps is erased, all others stay."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from expectations.gate import gate
from lakehouse import engine, tables
from lakehouse.contracts import Contract
from lakehouse.errors import ContractError
from lakehouse.settings import PROJECT_DIR, Settings, get_settings
from lakehouse.vault import open_vault
from ml import erasure as samples
from spark_jobs import bronze, expiry
from tests import persons

pytestmark = pytest.mark.engine
FIRST, LATER = "2018-03-01", "2019-06-01"
RETENTION = "slaProperties:\n  - {property: retention, value: 2, unit: year}\n"
TABLE, REGISTER = "bronze.people__person", "bronze.register__person"


@pytest.fixture
def people(lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    """Persons of two deliveries, and a register without an end that names two of the first."""
    (tmp_path / "lakehouse").symlink_to(PROJECT_DIR / "lakehouse")
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    get_settings.cache_clear()
    contract = persons.contract(tmp_path / "contracts", sla=RETENTION)
    register = persons.contract(tmp_path / "contracts", "register__person")
    known = persons.people(8)
    persons.land(contract, FIRST, known)
    persons.land(register, FIRST, known[:2])
    bronze.build(FIRST)
    gate("bronze", FIRST)
    # The third person is told of again, and a new one.
    persons.land(
        contract, LATER, [{**known[2], "record_id": "R000100"}, {**persons.person(20), "record_id": "R000101"}]
    )
    bronze.build(LATER)
    gate("bronze", LATER)
    return contract


def numbers(table: str) -> dict[str, str]:
    """How bronze names the person of each record."""
    with engine.session() as spark:
        return {row["record_id"]: row["person_number"] for row in tables.read(spark, table).collect()}


def test_whom_no_contract_keeps_is_erased_and_all_others_stay(people: Contract) -> None:
    before, registered = numbers(TABLE), numbers(REGISTER)
    assert expiry.expired(date(2020, 3, 1)) == []  # the last day of the second year
    found = expiry.expired(date(2020, 3, 4))
    gone = {record: token for record, token in before.items() if record in {f"R00000{i}" for i in range(3, 8)}}
    assert {subject.said for subject in found} == set(gone.values())
    assert {(s.who, s.kind, s.last_on) for s in found} == {("person", "identity_number", date.fromisoformat(FIRST))}

    done = expiry.erase(found, date(2020, 3, 4), samples.strip, samples.models)
    assert [body["is_complete"] for body in done] == [True]
    after = numbers(TABLE)
    assert {r: t for r, t in after.items() if r not in gone} == {r: t for r, t in before.items() if r not in gone}
    assert {after[record] for record in gone} == {f"erased_{done[0]['erasure']}"}
    assert numbers(REGISTER) == registered
    assert expiry.expired(date(2020, 3, 4)) == []
    with open_vault() as vault:
        assert vault.reveal([before["R000002"]], "test") == [persons.person(2)["number"]]

    # Those told of later expire later; those in the register never do.
    assert {s.said for s in expiry.expired(date(2030, 1, 1))} == {before["R000002"], before["R000101"]}


@pytest.mark.parametrize(
    ("stated", "fault"),
    [
        ("value: 0, unit: year", "is not a time"),
        ("value: 2, unit: moon", "is not a time"),
        ("value: 2", "is not a time"),
    ],
)
def test_a_retention_that_is_no_time_is_refused(tmp_path: Path, stated: str, fault: str) -> None:
    with pytest.raises(ContractError, match=fault):
        persons.contract(tmp_path, sla=f"slaProperties:\n  - {{property: retention, {stated}}}\n")
