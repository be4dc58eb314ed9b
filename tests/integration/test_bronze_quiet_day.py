"""What a quiet day costs: bronze and its gate touch the day's rows, and no file of the history before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.gate import gate
from lakehouse import contracts, engine, tables
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from spark_jobs import bronze
from tests import feeds
from tests.feeds import METER, land, lines, page, reading, use_feed

pytestmark = pytest.mark.engine
TABLE, OTHER = f"bronze.{METER}", "bronze.grid__other"
A_DAY = 40
HISTORY_DAYS = 60


def day(number: int) -> list[dict]:
    """A day's records; one of them breaks a rule."""
    sound = [reading(number * A_DAY + i, f"2020-01-01T{i % 24:02}:00:00+08:00") for i in range(A_DAY - 1)]
    return [*sound, reading(number * A_DAY + A_DAY - 1, zt="?")]


def hide(table: str, aside: Path) -> list[tuple[Path, Path]]:
    """Puts every data file of a build aside: who reads one fails. Returns where each was and is."""
    moves = [(file, aside / file.name) for file in Path(tables.build_location(table)).glob("*.parquet")]
    for file, place in moves:
        file.rename(place)
    return moves


def test_a_quiet_day_reads_and_writes_a_fiftieth_of_history_at_most(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch)
    other = tmp_path / "contracts" / "grid__other.yaml"
    other.write_text(feeds.TEXT.format(id="grid__other", policy="freeze", options="", columns=""), encoding="utf-8")
    records = [record for number in range(HISTORY_DAYS) for record in day(number)]
    history = land(contract, "2020-03-01", lines(records))
    land(contracts.load(other), "2020-03-01", page([reading(1)]))
    bronze.build("2020-03-01")
    assert gate("bronze", "2020-03-01")["tables"] == 3
    with engine.session() as spark:
        before = tables.current_manifest().versions

    aside = tmp_path / "aside"
    aside.mkdir()
    hidden = [move for table in (TABLE, OTHER, bronze.QUARANTINE) for move in hide(table, aside)]
    assert len(hidden) >= 3
    quiet = land(contract, "2020-03-02", lines(day(HISTORY_DAYS)))
    assert bronze.build("2020-03-02") == {"batches": 1, "rows_in": A_DAY}
    assert gate("bronze", "2020-03-02")["tables"] == 2

    assert quiet.bytes <= history.bytes / 20  # compressed: a day alone packs worse than sixty
    with engine.session() as spark:
        after = tables.current_manifest().versions
        assert after[OTHER] == before[OTHER] == tables.build_version(OTHER)
        written = 0
        for table in (TABLE, bronze.QUARANTINE):
            steps = spark.sql(f"DESCRIBE HISTORY {tables.build_name(table)}").where(f"version > {before[table]}")
            metrics = [dict(row["operationMetrics"]) for row in steps.collect()]
            written += sum(int(m["numOutputRows"]) for m in metrics)
            assert all(int(m.get("numRemovedFiles", 0)) == 0 for m in metrics)
        assert written == A_DAY <= len(records) / 50
        assert spark.table(tables.build_name(TABLE)).where(f"batch_id = '{quiet.batch_id}'").count() == A_DAY - 1

    # What changed behind the job's back is not a new batch: then everything is looked at.
    for file, place in hidden:
        place.rename(file)
    land(contract, "2020-03-03", lines(day(HISTORY_DAYS + 1)))
    bronze.build("2020-03-03")
    with engine.session() as spark:
        spark.sql(f"UPDATE {tables.build_name(TABLE)} SET state = 'perhaps' WHERE record_id = 'R1'")
    with pytest.raises(GateFailed, match=r"state.*1 rows"):
        gate("bronze", "2020-03-03")
