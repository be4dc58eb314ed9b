"""A person's word goes before everything, from when it was said, and is still there after a rebuild."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from identity_rows import day, registered, row, rows, uscc

from lakehouse.errors import ConfigError
from spark_jobs.identity import corrections, ledger
from spark_jobs.identity.corrections import entry

ROWS = rows(
    registered(1, "苏州和安仓储有限公司"),
    registered(2, "苏州鑫源钢铁有限公司"),
    row("gas", "G1", "苏州和安仓储有限公司", code=uscc(1)),
    row("gas", "G2", "苏州和安仓储有限公司"),
    row("gas", "G1", "苏州和安仓储公司", known=20, valid_from=date(2020, 1, 15), code=uscc(1)),
)


def said(enterprise: str | None, days: int, key: str = "G1", **other) -> pa.Table:
    return entry("gas", "gas", key, enterprise, "li", "seen on site", day(days), **other)


def keys(built: ledger.Ledger, days: int, on: date | None = None) -> dict[str, str]:
    found = ledger.identity_as_of(built, day(days), on).to_pylist()
    return {r["local_key"]: r["enterprise_id"] for r in found if r["department"] == "gas"}


def test_a_correction_beats_a_code_from_when_it_was_made() -> None:
    built = ledger.build(ROWS, corrections=said(uscc(2), 10))
    assert keys(built, 9)["G1"] == uscc(1)
    assert keys(built, 10)["G1"] == uscc(2)
    assert keys(built, 30) == {"G1": uscc(2), "G2": uscc(1)}  # also under a name that came later, and no other key


def test_the_last_word_holds_and_may_be_taken_back() -> None:
    three = pa.concat_tables([said(uscc(2), 10), said(None, 12), said(None, 14, withdrawn=True)])
    built = ledger.build(ROWS, corrections=three)
    assert keys(built, 11)["G1"] == uscc(2)
    assert keys(built, 13)["G1"] not in (uscc(1), uscc(2))
    assert keys(built, 14)["G1"] == uscc(1)


def test_a_key_passes_on_from_a_day() -> None:
    built = ledger.build(ROWS, corrections=said(uscc(2), 40, effective_from=date(2020, 1, 10)))
    assert keys(built, 39, date(2020, 1, 10))["G1"] == uscc(1)
    assert keys(built, 40, date(2020, 1, 9))["G1"] == uscc(1)
    assert keys(built, 40, date(2020, 1, 10))["G1"] == uscc(2)
    assert keys(built, 40)["G1"] == uscc(2)


def test_a_later_word_ends_a_handover() -> None:
    two = pa.concat_tables([said(uscc(2), 40, effective_from=date(2020, 1, 10)), said(None, 50, withdrawn=True)])
    built = ledger.build(ROWS, corrections=two)
    assert keys(built, 49)["G1"] == uscc(2)
    assert keys(built, 50)["G1"] == uscc(1)


def test_corrections_survive_reruns() -> None:
    spoken = said(uscc(2), 10)
    first = ledger.build(ROWS, corrections=spoken)
    later = ledger.build(rows(row("water", "W1", "苏州鑫源钢铁有限公司", known=50)), corrections=spoken, before=first)
    assert keys(later, 60)["G1"] == uscc(2)
    assert ledger.build(ROWS, corrections=spoken).link.equals(first.link)


def test_an_entry_has_author_and_reason() -> None:
    for author, reason in (("", "seen"), ("li", " ")):
        with pytest.raises(ConfigError, match="author and a reason"):
            entry("gas", "gas", "G1", uscc(1), author, reason, day(1))
    with pytest.raises(ConfigError, match="nobody"):
        said(None, 1, effective_from=date(2020, 1, 1))
    assert said(uscc(2), 10).schema == corrections.CORRECTIONS
    assert said(uscc(2), 10).equals(said(uscc(2), 10))
