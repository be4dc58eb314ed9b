"""Ledgers as tables of Delta's log, without an engine: what is added, replaced, refused and found again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from lakehouse import control, delta_log
from lakehouse.settings import Settings

COLUMNS = (
    "name string, day date, at timestamp, n int, sums map<string, bigint>, words array<string>, "
    "told map<string, struct<value: double, count: bigint>>"
)
AT = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)


def row(name: str, n: int | None = 1) -> tuple:
    return (name, date(2024, 2, 29), AT, n, {"a": 1, "b": 1 << 40}, ["x", "y"], {"q": (0.5, 3)})


def names(ledger: str = "note") -> list[str]:
    return sorted(found["name"] for found in control.rows(ledger, "name string"))


def test_what_is_added_is_found_as_it_was(settings: Settings) -> None:
    assert control.rows("note", COLUMNS) == [] and control.version("note") is None
    control.append("note", COLUMNS, [])
    assert control.version("note") is None
    control.append("note", COLUMNS, [row("a"), (None, None, None, None, None, None, None)])
    found = sorted(control.rows("note", COLUMNS), key=lambda r: r["name"] or "")
    assert list(found[0].values()) == [None] * 7
    assert found[1] == {
        "name": "a", "day": date(2024, 2, 29), "at": AT, "n": 1, "sums": {"a": 1, "b": 1 << 40}, "words": ["x", "y"],
        "told": {"q": {"value": 0.5, "count": 3}},
    }  # fmt: skip
    control.append("note", COLUMNS, [row("it's")])
    assert [r["n"] for r in control.rows("note", "n int, name string", "name", ["it's", "b"])] == [1]
    assert control.names() == {"note"}


def test_a_row_takes_the_place_of_the_one_with_its_keys(settings: Settings) -> None:
    control.merge("note", COLUMNS, [row("a"), row("b")], ("name",))
    control.merge("note", COLUMNS, [row("b", 5), row("c", None)], ("name",))
    found = {r["name"]: r["n"] for r in control.rows("note", COLUMNS)}
    assert found == {"a": 1, "b": 5, "c": None}
    (chosen,) = control.rows("note", COLUMNS, "name", ["b", "it's"])
    assert chosen == {**dict(zip(control.arrow_schema(COLUMNS).names, row("b", 5), strict=True)),
                      "told": {"q": {"value": 0.5, "count": 3}}}  # fmt: skip
    assert control.rows("note", COLUMNS, "name", []) == []
    control.delete("note", "name", ["a", "it's"])
    control.delete("nothing", "name", ["a"])
    assert names() == ["b", "c"] and control.version("nothing") is None


def test_who_comes_second_is_refused_and_adds_nothing(settings: Settings) -> None:
    control.append("note", COLUMNS, [row("a")])
    seen = control.version("note")
    assert control.append_next("note", COLUMNS, [row("b")], seen)
    assert not control.append_next("note", COLUMNS, [row("c")], seen)
    assert names() == ["a", "b"]


def test_many_at_once_lose_nothing(settings: Settings) -> None:
    def work(number: int) -> bool:
        control.append("note", COLUMNS, [row(f"added {number}")])
        control.merge("note", COLUMNS, [row("one of all", number), row(f"merged {number}")], ("name",))
        control.ensure("race", "name string")
        return control.append_next("race", "name string", [(str(number),)], 0)

    with ThreadPoolExecutor(6) as pool:
        first = list(pool.map(work, range(6)))
    assert names() == sorted([*(f"added {n}" for n in range(6)), *(f"merged {n}" for n in range(6)), "one of all"])
    assert first.count(True) == 1 and names("race") == [str(first.index(True))]
    done = delta_log.entries(control.location("note"), -1, control.version("note"))
    assert [entry["version"] for entry in done if entry["operation"] == "CREATE TABLE"] == [0]


def test_a_ledger_of_an_earlier_release_gets_the_columns_that_came_since(settings: Settings) -> None:
    control.append("note", "name string", [("old",)])
    assert control.rows("note", "name string, sums map<string, bigint>") == [{"name": "old", "sums": None}]
    assert control.rows("note", "name string, n int", "name", ["old"]) == [{"name": "old", "n": None}]
    assert control.version("note") == 1 and delta_log.columns(control.location("note")) == ["name"]
    control.append("note", COLUMNS, [row("new")])
    assert {r["name"]: r["n"] for r in control.rows("note", COLUMNS)} == {"old": None, "new": 1}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("map<string, array<int>>", pa.map_(pa.string(), pa.list_(pa.int32()))),
        ("array<struct<x: string, m: map<string, double>>>",
         pa.list_(pa.struct([("x", pa.string()), ("m", pa.map_(pa.string(), pa.float64()))]))),
        ("struct<on: date, is_it: boolean>", pa.struct([("on", pa.date32()), ("is_it", pa.bool_())])),
    ],
)  # fmt: skip
def test_columns_in_sparks_words(words: str, kind: pa.DataType) -> None:
    assert control.arrow_schema(f"a bigint, b {words}, c string") == pa.schema(
        [("a", pa.int64()), ("b", kind), ("c", pa.string())]
    )
    with pytest.raises(KeyError):
        control.arrow_schema("a decimal")
