"""Rotated tokens reach published tables: nothing else changes, rows stay joinable, and a repeat changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.gate import gate
from lakehouse import engine, tables
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR, Settings, get_settings
from lakehouse.vault import forms, open_vault, rotation
from spark_jobs import bronze, retokenise
from tests import persons

pytestmark = pytest.mark.engine
TOKENS = ("person_name", "person_number")
TABLE, FAMILIES = "bronze.people__person", "silver.family"
DAYS = ("2020-03-01", "2020-03-02")


@pytest.fixture
def people(lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    (tmp_path / "lakehouse").symlink_to(PROJECT_DIR / "lakehouse")
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    get_settings.cache_clear()
    return persons.contract(tmp_path / "contracts", path="*", options={"duplicateWindowDays": 30})


def build(day: str) -> None:
    bronze.build(day)
    gate("bronze", day)


def rows(table: str = TABLE) -> list[dict]:
    with engine.session() as spark:
        found = [row.asDict() for row in tables.read(spark, table).collect()]
    return sorted(found, key=lambda row: (str(row.get("record_id")), row.get("batch_sequence", 0)))


def publish_families() -> None:
    """A table of another layer with tokens of its own: people by name."""
    with engine.session() as spark:
        frame = tables.read(spark, TABLE).groupBy("person_name").count()
        tables.begin_build(spark, FAMILIES)
        tables.overwrite(frame, FAMILIES)
        tables.publish(spark, {FAMILIES: tables.build_version(FAMILIES)}, "test", DAYS[0])


def manifest_id() -> int:
    return tables.current_manifest().manifest_id


def present(kind: str, value: str) -> str | None:
    with open_vault() as vault:
        return vault.find(kind, value, "a test of retokenising")


def test_rotated_tokens_replace_the_former_ones_everywhere(people: Contract) -> None:
    sent = persons.people(40)
    persons.land(people, DAYS[0], sent)
    build(DAYS[0])
    publish_families()
    families = {r["person_name"]: r["count"] for r in rows(FAMILIES)}
    with open_vault() as vault:
        rotation.rotate_tokens(vault, "a test of retokenising")
    before = rows()
    assert all(r[c].startswith("tok1_") and forms.TOKEN.fullmatch(r[c]) for r in before for c in TOKENS)

    assert retokenise.build(DAYS[0]) == {"tables": {TABLE: 80, FAMILIES: len(families)}}
    after = rows()
    computed = {*TOKENS, "record_hash"}
    for one, other, record in zip(before, after, sent, strict=True):
        assert {k: v for k, v in one.items() if k not in computed} == {
            k: v for k, v in other.items() if k not in computed
        }
        assert not {k for k in computed if one[k] == other[k]}
        assert other["person_number"] == present("identity_number", record["number"])
        assert other["person_name"] == present("person_name", record["name"])
    names = {one["person_name"]: other["person_name"] for one, other in zip(before, after, strict=True)}
    assert {r["person_name"]: r["count"] for r in rows(FAMILIES)} == {names[n]: count for n, count in families.items()}
    published = manifest_id()
    assert retokenise.build(DAYS[0]) == {"tables": {}} and manifest_id() == published

    # The same records again, sealed with the new tokens, are known for what they are.
    persons.land(people, DAYS[1], sent)
    build(DAYS[1])
    assert [r["disposition"] for r in rows()] == ["accepted", "duplicate"] * 40
