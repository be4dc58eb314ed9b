"""A waiver covers the rule, table and batch it names, while it lasts; a rule it covers is told and holds nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from expectations import report
from expectations.report import Finding
from lakehouse import waivers
from lakehouse.settings import Settings
from lakehouse.waivers import Waiver

SALES, RULE = "bronze.gov_tax__sale_invoice", "location:tax_cny"
ENTRY = Waiver(
    "w1", SALES, RULE, None, "ann", "billed by the head office", date(2024, 3, 31), datetime(2024, 3, 1, tzinfo=UTC)
)


def test_it_counts_up_to_its_last_day_and_not_once_withdrawn() -> None:
    assert ENTRY.is_live(date(2024, 3, 31)) and not ENTRY.is_live(date(2024, 4, 1))
    withdrawn = replace(ENTRY, withdrawn_by="ben", withdrawn_at=datetime(2024, 3, 2, tzinfo=UTC))
    assert not withdrawn.is_live(date(2024, 3, 3))


@pytest.mark.parametrize(
    ("entry", "table", "rule", "batch", "covered"),
    [
        (ENTRY, SALES, RULE, "b1", True),
        (ENTRY, SALES, "location:amount", "b1", False),
        (ENTRY, "bronze.bank__loan", RULE, "b1", False),
        (replace(ENTRY, rule="location:*"), SALES, "location:amount", None, True),
        (replace(ENTRY, rule="*"), SALES, "volume", "b1", True),
        (replace(ENTRY, batch_id="b1"), SALES, RULE, "b1", True),
        (replace(ENTRY, batch_id="b1"), SALES, RULE, "b2", False),
        # Rules of suites hold brackets, which are no pattern when the name is given in full.
        (replace(ENTRY, rule="in_set: value_set ['a']"), SALES, "in_set: value_set ['a']", None, True),
    ],
)
def test_it_covers_what_it_names(entry: Waiver, table: str, rule: str, batch: str | None, covered: bool) -> None:
    word = waivers.word_for([entry], table, rule, batch)
    assert word == ("ann until 2024-03-31: billed by the head office" if covered else None)


def test_the_page_says_what_was_waived_by_whom_and_what_was_only_a_warning(settings: Settings) -> None:
    found = [
        Finding(SALES, "history: as before", True, 300, None, batch_id="b1"),
        Finding(SALES, RULE, False, 300, None, "found 1", batch_id="b1", waived=ENTRY.word),
        Finding(SALES, "volume", False, 300, None, "found 9", severity="warning", batch_id="b1"),
    ]
    assert [f.outcome for f in found] == ["held", "waived", "warning"] and not any(f.holds_back for f in found)
    page = report.write("bronze", "2024-03-02", "run1", {SALES: 3}, found)
    html = page.read_text(encoding="utf-8")
    assert "all 1 expectations held" in html and "1 warning, 1 waived" in html
    assert "waived by ann until 2024-03-31: billed by the head office" in html and "batch b1" in html
    broken = Finding(SALES, "repeated", False, 300, None, "found 1", batch_id="b2")
    page = report.write("bronze", "2024-03-02", "run2", {}, [*found, broken], held=["b2", "b3"])
    assert "1 of 4 expectations failed: nothing of batch b2, b3 was published" in page.read_text(encoding="utf-8")
    assert json.loads(page.with_suffix(".json").read_text())["held_batches"] == ["b2", "b3"]
    index = (settings.reports_dir / "index.html").read_text()
    assert index.count("1 failed") == 1 and index.count("published") == 1
