"""What is new in silver is looked at alone, and whatever looking at all of it would find is found in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from expectations import increments, restating, suites
from expectations.gate import check, gate
from expectations.report import Finding
from lakehouse import differences, engine, tables
from lakehouse.settings import Settings
from spark_jobs import bronze, landing, silver
from tests.drops import VOID, drop, invoice, sound_sales
from tests.integration.conftest import approve_restatements

pytestmark = [pytest.mark.engine, pytest.mark.apart]
INVOICE, ENTERPRISE = "silver.vat_invoice", "silver.enterprise"
NEW = "invoice_number IN ('901', '902')"
# Done to silver behind the job's back, and the rules that have to notice, by a part of their words.
FAULTS = {
    "wrong rows, old and new": (
        [
            f"UPDATE {{}} SET amount_excl_tax_cny = NULL WHERE {NEW}",
            "UPDATE {} SET status = 'perhaps' WHERE invoice_number = '3'",
            "UPDATE {} SET amount_incl_tax_cny = amount_incl_tax_cny + 1 WHERE invoice_number = '8'",
            "UPDATE {} SET enterprise_id = 'E404' WHERE invoice_number = '9'",
            f"UPDATE {{}} SET known_at = event_at - INTERVAL 1 DAY WHERE {NEW}",
            "UPDATE {} SET superseded_at = known_at WHERE invoice_number = '10'",
            "UPDATE {} SET reverses_invoice_id = 'one', reversed_on = date'2019-03-04' "
            "WHERE invoice_number IN ('11', '12')",
        ],
        [
            "amount_excl_tax_cny",
            "status",
            "amounts",
            "known enterprise",
            "before it is issued",
            "superseded",
            "reversed",
        ],
    ),
    "an old row twice": (
        ["INSERT INTO {0} SELECT * FROM {0} WHERE invoice_number = '5'"],
        ["one invoice version", "amounts", "['invoice_id', 'version_no']", "['batch_id'", "superseded"],
    ),
    "a row twice under another name, and another one less": (
        [
            "INSERT INTO {0} BY NAME SELECT * EXCEPT (invoice_id), 'other' AS invoice_id FROM {0} "
            "WHERE invoice_number = '5'",
            "DELETE FROM {} WHERE invoice_number = '6'",
        ],
        ["amounts", "['batch_id'"],
    ),
}


@pytest.fixture
def second_day(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Two drops, the first of them passed; the versions of silver that wait after the second."""
    monkeypatch.setattr(differences, "LEAST_ROWS", 0)
    monkeypatch.setattr(increments, "LARGEST_SHARE", 1.0)
    old = sound_sales(40)
    drop("2020-03-01", sales=old, firms=["E1", "E2"])
    _build("2020-03-01")
    assert gate("silver", "2020-03-01")["tables"]
    void = invoice("E1", 4, "2019/4/4", "B3", 13.0, VOID)
    drop("2020-03-02", sales=[void, invoice(number=901, day="2020/3/1"), invoice(number=902, day="2020/2/9")])
    _build("2020-03-02")
    return {INVOICE: tables.build_version(INVOICE)}


def _build(partition: str) -> None:
    landing.land(partition)
    bronze.build(partition)
    gate("bronze", partition)
    silver.build(partition)


def broken(found: Iterable[Finding]) -> set[str]:
    """The rules that are broken, in the words of either way of looking."""
    return {finding.rule.replace("_", " ").lower() for finding in found if not finding.passed}


def test_every_fault_is_found_among_what_is_new_as_among_all(
    second_day: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, audit = suites.SILVER[INVOICE], increments.last("silver")
    with engine.session() as spark:
        assert_looked_at_as_a_whole_where_it_must_be(spark, second_day, audit, monkeypatch)
        for fault, (statements, words) in FAULTS.items():
            for statement in statements:
                spark.sql(statement.format(tables.build_name(INVOICE)))
            changed = {INVOICE: tables.build_version(INVOICE)}
            news = increments.find(spark, changed, {INVOICE: expected}, audit)
            held = increments.identities(spark, suites.SILVER_IDENTITIES, changed, news, audit)
            told = broken(increments.suite(spark, news[INVOICE], expected))
            told |= {one.name for one in suites.SILVER_IDENTITIES if one.name not in held}
            with monkeypatch.context() as patch:
                patch.setattr(differences, "LEAST_ROWS", 10**9)
                assert told == broken(check(spark, "silver", changed)), fault
            assert all(any(word.replace("_", " ") in rule for rule in told) for word in words), (fault, told)
            assert len(told) == len(words), (fault, told)
            if "twice" in fault:  # one file more, or one more and another one
                assert_restated_alike(spark, changed, monkeypatch)
            tables.restore(spark, INVOICE, second_day[INVOICE])
        assert_old_invoices_miss_an_enterprise_that_is_gone(spark, audit)
    assert_passed_by_what_is_new()


def assert_looked_at_as_a_whole_where_it_must_be(
    spark: Any, changed: dict[str, int], audit: increments.Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under other rules, where nobody passed the version before, and where most of it is new."""
    expected = {INVOICE: suites.SILVER[INVOICE]}
    others = {INVOICE: [*suites.SILVER[INVOICE], *suites.not_null("invoice_number")]}
    with monkeypatch.context() as patch:
        assert not increments.find(spark, changed, others, audit)
        assert not increments.find(spark, changed, expected, increments.Audit())
        patch.setattr(increments, "LARGEST_SHARE", 0.0)
        assert not increments.find(spark, changed, expected, audit)


def assert_restated_alike(spark: Any, changed: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What restates is found where something is new as among all rows: here the void version of an invoice."""
    published = tables.current_manifest().versions
    with monkeypatch.context() as patch:
        patch.setattr(differences, "LEAST_ROWS", 10**9)
        _, of_all = restating.look(spark, [], changed, published)
    assert restating.look(spark, [], changed, published)[1] == of_all
    assert [one.records for one in of_all] == [{"deleted": 1}]


def assert_old_invoices_miss_an_enterprise_that_is_gone(spark: Any, audit: increments.Audit) -> None:
    asked = suites.SILVER_IDENTITIES
    spark.sql(f"DELETE FROM {tables.build_name(ENTERPRISE)} WHERE enterprise_id = 'E1'")
    changed = {table: tables.build_version(table) for table in (INVOICE, ENTERPRISE)}
    news = increments.find(spark, changed, {t: suites.SILVER[t] for t in changed}, audit)
    held = increments.identities(spark, asked, changed, news, audit)
    assert "every invoice belongs to a known enterprise" in {one.name for one in asked} - held.keys()
    tables.begin_build(spark, ENTERPRISE)


def assert_passed_by_what_is_new() -> None:
    """Two invoices, a void version and the version that it supersedes; what was passed is the base of the next day."""
    approve_restatements()
    page = Path(gate("silver", "2020-03-02")["report"])
    found = [f for f in json.loads(page.with_suffix(".json").read_text())["findings"] if f["table"] == INVOICE]
    assert {f["checked"] for f in found if f["rule"].startswith("column_values_to_not_be_null")} == {4}
    assert increments.last("silver").versions[INVOICE] == tables.current_manifest().versions[INVOICE]
