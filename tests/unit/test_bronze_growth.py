"""What a table's log tells of the batches that came, without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse import delta_log, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import Settings
from spark_jobs.bronze_growth import grew_by, removed_by

TABLE = "bronze.meter"


@pytest.fixture
def place(settings: Settings) -> Path:
    """A table of one batch, the first."""
    folder = Path(tables.build_location(TABLE))
    write_deltalake(folder, pa.table({"batch_sequence": pa.array([1, 1], pa.int64())}))
    return folder


def commit(place: Path, operation: str, **parameters: object) -> None:
    """A commit that the engine would make, as the log tells it."""
    write_deltalake(place, pa.table({"batch_sequence": pa.array([2], pa.int64())}), mode="append")
    entry = place / "_delta_log" / f"{delta_log.version(str(place)):020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if told := line.get("commitInfo"):
            told["operation"], told["operationParameters"] = operation, parameters
    entry.write_text("\n".join(map(json.dumps, lines)))


def test_written_batches_are_told_and_those_taken_back_are_not(place: Path) -> None:
    assert grew_by(TABLE, 0, 0) == set()
    commit(place, "WRITE", mode="Overwrite", predicate="batch_sequence IN (2L, 3L)")
    commit(place, "WRITE", mode="Overwrite", predicate="batch_sequence IN (4L)")
    commit(place, "DELETE", predicate='["(batch_sequence#12L INSET 3, 4)"]')
    assert grew_by(TABLE, 0, 3) == {2} and grew_by(TABLE, 0, 2) == {2, 3, 4} and grew_by(TABLE, 1, 2) == {4}
    assert [removed_by(TABLE, version) for version in range(4)] == [set(), set(), set(), {3, 4}]
    commit(place, "DELETE", predicate='["true"]')
    assert removed_by(TABLE, 4) == set()


def test_a_build_that_began_anew_counts_from_there(place: Path) -> None:
    commit(place, "UPDATE", predicate='["(state#3 = x)"]')
    commit(place, "RESTORE", version="0", timestamp=None)
    commit(place, "WRITE", mode="Overwrite", predicate="batch_sequence IN (2L)")
    assert grew_by(TABLE, 0, 3) == {2} and grew_by(TABLE, 1, 3) is None


@pytest.mark.parametrize("operation", ["UPDATE", "MERGE", "OPTIMIZE", "WRITE"])
def test_anything_else_is_no_growth(place: Path, operation: str) -> None:
    commit(place, operation, predicate="batch_sequence IN (2L)" if operation != "WRITE" else "batch_id = 'a'")
    commit(place, "WRITE", mode="Overwrite", predicate="batch_sequence IN (3L)")
    assert grew_by(TABLE, 0, 2) is None


def test_a_log_that_was_shortened_tells_nothing(place: Path) -> None:
    for number in (2, 3):
        commit(place, "WRITE", mode="Overwrite", predicate=f"batch_sequence IN ({number}L)")
    DeltaTable(place).create_checkpoint()
    (place / "_delta_log" / f"{1:020}.json").unlink()
    assert grew_by(TABLE, 0, 2) is None and grew_by(TABLE, 1, 2) == {3}


def test_rows_are_counted_from_the_log_or_else_from_the_files(place: Path) -> None:
    commit(place, "WRITE")
    assert (delta_log.count(str(place)), delta_log.count(str(place), 0)) == (3, 2)
    assert (delta_log.written(str(place), 0, 1), delta_log.written(str(place), 1, 0)) == (1, 0)
    assert delta_log.greatest(str(place), "batch_sequence", 0) == 1 and delta_log.files(str(place)) == 2
    entry = place / "_delta_log" / f"{1:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        line.get("add", {}).pop("stats", None)
    entry.write_text("\n".join(map(json.dumps, lines)))
    assert delta_log.count(str(place)) == 3
    DeltaTable(place).delete()
    assert delta_log.count(str(place)) == 0
    with pytest.raises(ConfigError):
        delta_log.count(str(place), 77)
