"""A gate that is killed while it makes a version without the batches it holds: those and their feed lose nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from expectations.gate import gate
from lakehouse import contracts, engine, tables, waivers
from lakehouse.contracts import Contract
from lakehouse.errors import BatchesHeld, IntegrityError
from lakehouse.settings import Settings
from spark_jobs import bronze, quarantine
from spark_jobs.landing import Batch
from tests.feeds import METER, land, lines, reading, use_feed

pytestmark = pytest.mark.engine
TABLE = f"bronze.{METER}"
SOUND, BROKEN = 6, 1  # rows of a batch
DAY = "2020-03-09"


class Killed(BaseException):
    """The gate's end, in the middle of it."""


def use_strict_feed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    """A feed of meter readings that few batches are enough to judge."""
    use_feed(folder, monkeypatch)
    path = folder / "contracts" / f"{METER}.yaml"
    gated = "  - {property: gate, value: {minimumHistory: 4}}\n  - property: feed\n"
    path.write_text(path.read_text(encoding="utf-8").replace("  - property: feed\n", gated), encoding="utf-8")
    return contracts.load(path)


def land_day(contract: Contract, day: int, fee: float = 12.5) -> Batch:
    """Lands a day's readings; the last of them breaks a rule."""
    at = f"2020-03-{day:02}T01:00:00+08:00"
    first = day * (SOUND + BROKEN)
    rows = [reading(first + n, at, df=fee, **({"zt": "?"} if n >= SOUND else {})) for n in range(SOUND + BROKEN)]
    return land(contract, f"2020-03-{day:02}", lines(rows))


def published() -> tuple[dict[str, int], dict[str, int]]:
    """How many rows of each batch readers find, in bronze and in quarantine."""
    with engine.session() as spark:
        found = [tables.read(spark, name).select("batch_id").collect() for name in (TABLE, bronze.QUARANTINE)]
    sound, broken = (dict(Counter(row["batch_id"] for row in rows)) for rows in found)
    return sound, broken


def all_of(*batches: Batch) -> tuple[dict[str, int], dict[str, int]]:
    return {b.batch_id: SOUND for b in batches}, {b.batch_id: BROKEN for b in batches}


def kill_after_delete(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the gate, and ends it when it has taken the held batches' rows out of a table's build."""
    remove = tables.remove_where

    def remove_and_end(spark: Any, name: str, condition: str) -> None:
        remove(spark, name, condition)
        if name == table:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(tables, "remove_where", remove_and_end)
        gate("bronze", DAY)


def test_what_a_killed_gate_took_out_of_a_build_comes_back(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_strict_feed(tmp_path, monkeypatch)
    past = [land_day(contract, day) for day in range(1, 6)]
    bronze.build(DAY)
    gate("bronze", DAY)
    good, dear, dearer, last = (land_day(contract, day, fee) for day, fee in ((6, 12), (7, 9e5), (8, 9e6), (9, 13)))
    bronze.build(DAY)
    for table in (TABLE, bronze.QUARANTINE):
        kill_after_delete(table, monkeypatch)
        assert published() == all_of(*past)
    with pytest.raises(BatchesHeld, match=f"{dear.batch_id}: location:fee_cny.*2 later batches"):
        gate("bronze", DAY)
    assert published() == all_of(*past, good)

    waivers.add(TABLE, "location:*", "ann", "as agreed", "2999-12-31", dear.batch_id)
    with pytest.raises(BatchesHeld, match=f"{dearer.batch_id}: location:fee_cny.*1 later batches"):
        gate("bronze", DAY)
    assert published() == all_of(*past, good, dear)

    # Taken back with the batch that is rejected, the rows of the one behind it are to be built again.
    quarantine.reject_batches([dearer.batch_id], "ann", "wrong unit")
    with pytest.raises(IntegrityError, match=last.batch_id) as told:
        gate("bronze", DAY)
    assert "bronze" in str(told.value.remedy)
    bronze.build(DAY)
    gate("bronze", DAY)
    assert published() == all_of(*past, good, dear, last)
    with engine.session() as spark:
        assert bronze.pending(spark) == []
