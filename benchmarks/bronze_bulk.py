"""Rows a second of bulk government files into bronze, beside DuckDB reading the same files into Parquet.

Files come from `vinelake economy bulk`. Each share of the months is landed (moved, digested, chained) and built into
bronze on an engine of its own in a temporary folder; then DuckDB reads the same files with as many threads. Feeds with
personal columns are left out: those are sealed record by record before landing, which is measured elsewhere. Prints a
Markdown row a share, and the straight line through them. CPU seconds are given beside the wall's: on a machine that is
busy with other work they alone can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

CORES = 2
DAY = "2024-06-01"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder that `vinelake economy bulk` wrote")
    parser.add_argument("--months", default="3,6,12,24", help="how many of the first months to read, in turn")
    parser.add_argument("--room", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--no-duckdb", action="store_true")
    arguments = parser.parse_args()
    print(
        "| rows | MB read | land | bronze | rows/s | MB/s | CPU s | peak MB | "
        "DuckDB rows/s | CPU s | share of it | by CPU |"
    )
    points = []
    for months in map(int, arguments.months.split(",")):
        room = Path(tempfile.mkdtemp(prefix="bronze-bulk-", dir=arguments.room))
        try:
            points.append(measure(arguments.files, months, room, not arguments.no_duckdb))
        finally:
            shutil.rmtree(room, ignore_errors=True)
    if len(points) > 1:
        print(straight_line(points))


def measure(files: Path, months: int, room: Path, with_duckdb: bool) -> tuple[int, float]:
    """(rows, seconds) of landing and bronze on the files of the first months; prints the row."""
    os.environ["VINELAKE_VAR_DIR"] = str(room / "var")
    os.environ.setdefault("VINELAKE_ENGINE_PORT", "15198")
    from lakehouse import engine
    from lakehouse.settings import get_settings

    get_settings.cache_clear()
    chosen = choose(files, months)
    size = sum(path.stat().st_size for _, entries in chosen for path, _ in entries)
    rows = sum(number for _, entries in chosen for _, number in entries)
    own = time.process_time()
    land_seconds = land(chosen, room)
    land_cpu = time.process_time() - own
    engine.start()
    try:
        from spark_jobs import bronze

        pid = engine.process().running().pid
        begun, cpu = time.monotonic(), cpu_seconds(pid)
        done = bronze.build(DAY)
        seconds, cpu = time.monotonic() - begun, cpu_seconds(pid) - cpu + land_cpu
        peak = peak_megabytes(pid)
    finally:
        engine.stop()
    if done["rows_in"] != rows:
        raise SystemExit(f"{done['rows_in']:,} rows came in, the files hold {rows:,}")
    total = land_seconds + seconds
    peer, peer_cpu = duckdb_seconds(chosen, room) if with_duckdb else (float("nan"), float("nan"))
    print(
        f"| {rows:,} | {size / 1e6:,.0f} | {land_seconds:.0f} s | {seconds:.0f} s | {rows / total:,.0f} | "
        f"{size / 1e6 / total:.1f} | {cpu:.0f} | {peak:,.0f} | "
        f"{rows / peer:,.0f} | {peer_cpu:.0f} | {peer / total:.3f} | {peer_cpu / cpu:.3f} |",
        flush=True,
    )
    return rows, total


def choose(files: Path, months: int) -> list[tuple[Any, list[tuple[Path, int]]]]:
    """Per contract without personal columns: its files of the first months, with their rows."""
    from lakehouse import contracts
    from lakehouse.settings import get_settings

    by_path = {c.feed.path: c for c in contracts.load_all(get_settings().contracts_dir).values() if c.feed}
    found = []
    for manifest in sorted(files.glob("*/manifest.json")):
        entries = json.loads(manifest.read_text())
        first = sorted({entry["month"] for entry in entries})[:months]
        for dataset in sorted({entry["dataset"] for entry in entries}):
            contract = by_path.get(f"/v1/{manifest.parent.name}/{dataset}")
            if contract is None or contract.personal_columns:
                continue
            mine = [e for e in entries if e["dataset"] == dataset and e["month"] in first]
            found.append((contract, [(manifest.parent / e["file"], e["rows"]) for e in mine]))
    return found


def land(chosen: Sequence[tuple[Any, list[tuple[Path, int]]]], room: Path) -> float:
    """Seconds to land every file as pulls would, one batch a feed; the copies to move are made before."""
    from spark_jobs.pull.draft import open_draft
    from spark_jobs.pull.part import Part

    parts = []
    for number, (contract, entries) in enumerate(chosen):
        (room / f"spool{number}").mkdir(parents=True)
        for path, rows in entries:
            copy = room / f"spool{number}" / path.name
            shutil.copyfile(path, copy)
            style = path.suffixes[0].lstrip(".").split(".")[0] if path.suffix == ".gz" else path.suffix.lstrip(".")
            parts.append((contract, Part(path.name, copy, style, rows, header(path), {"after": path.name})))
    begun = time.monotonic()
    for contract, _ in chosen:
        draft, _left = open_draft(contract, date.fromisoformat(DAY))
        for owner, part in parts:
            if owner is contract:
                draft.add(part)
        draft.commit()
    return time.monotonic() - begun


def header(path: Path) -> tuple[str, ...]:
    """The names of a file's columns."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return tuple(pyarrow.parquet.read_schema(path).names)
    with path.open(encoding="utf-8") as stream:
        return tuple(stream.readline().strip().split(","))


def duckdb_seconds(chosen: Sequence[tuple[Any, list[tuple[Path, int]]]], room: Path) -> tuple[float, float]:
    """(seconds, CPU seconds) of DuckDB to read the same files, typed as it finds them, into one Parquet file a feed."""
    import duckdb

    database = duckdb.connect(config={"threads": CORES})
    begun, own = time.monotonic(), time.process_time()
    for number, (_, entries) in enumerate(chosen):
        paths = [str(path) for path, _ in entries]
        reader = "read_parquet" if paths[0].endswith(".parquet") else "read_csv"
        target = room / f"duck{number}.parquet"
        database.execute(f"COPY (SELECT * FROM {reader}(?)) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", [paths])
    seconds = time.monotonic() - begun, time.process_time() - own
    database.close()
    return seconds


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """The most memory a process held at once."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def straight_line(points: Sequence[tuple[int, float]]) -> str:
    """Least squares through (rows, seconds), its worst miss, and what it says of 200 million rows."""
    mean_rows = sum(r for r, _ in points) / len(points)
    mean_seconds = sum(s for _, s in points) / len(points)
    slope = sum((r - mean_rows) * (s - mean_seconds) for r, s in points) / sum((r - mean_rows) ** 2 for r, _ in points)
    base = mean_seconds - slope * mean_rows
    worst = max(abs(base + slope * r - s) / s for r, s in points)
    return (
        f"seconds = {base:.1f} + {slope * 1e6:.2f} a million rows, {worst:.0%} off at worst; "
        f"200 million rows: {(base + slope * 200e6) / 60:.0f} minutes"
    )


if __name__ == "__main__":
    main()
