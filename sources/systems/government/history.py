"""Bulk files of history: one a dataset and month of publication, with a manifest of digests.

A month's file appears on the third of the next month and then never changes. It is written in the schema that was in
force on that day, as a department's archive would be; the list goes on where the last file ends.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sources.systems.clock import world_days
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.events import fields_on
from sources.systems.government.fields import Field
from sources.systems.government.model import Dataset
from sources.systems.government.projection import log_file
from sources.systems.world import connect

READY_DAY = 3  # of the month after


@dataclass(frozen=True)
class HistoryFile:
    """One file of a dataset's history."""

    dataset: str
    month: str
    file: str
    rows: int
    bytes: int
    sha256: str
    schema_version: int
    ready_on: str


def history_folder(folder: Path, department: str) -> Path:
    return folder / "history" / department


def read_manifest(folder: Path, department: str) -> list[HistoryFile]:
    """All files of a department, also those of months to come."""
    file = history_folder(folder, department) / "manifest.json"
    return [HistoryFile(**entry) for entry in json.loads(file.read_text())]


def select_list(dataset: Dataset, fields: tuple[Field, ...]) -> str:
    """The columns of a published record, as SQL over its log."""
    own = (
        f"printf('{dataset.prefix}%015x', record) AS record_id, revision, "
        "strftime(published_at, '%Y-%m-%dT%H:%M:%S+08:00') AS published_at"
    )
    return ", ".join([own, *(f'{field.sql} AS "{field.name}"' for field in fields)])


def write_history(folder: Path, world: Path) -> int:
    """Writes every file of every department; returns their number."""
    first_day, last_day = world_days(world)
    database = connect(memory_mb=800)
    written = 0
    for department in DEPARTMENTS:
        target = history_folder(folder, department.name)
        target.mkdir(parents=True, exist_ok=True)
        entries = []
        for dataset in department.datasets:
            log = log_file(folder, department.name, dataset.name)
            for month in _months(first_day, last_day):
                ready = _next_month(month) + timedelta(days=READY_DAY - 1)
                fields, version = fields_on(department.name, dataset.name, ready, first_day)
                name = f"{dataset.name}-{month:%Y-%m}.{department.bulk}"
                rows = _write(database, log, select_list(dataset, fields), month, target / name)
                if rows == 0:
                    (target / name).unlink()
                    continue
                content = (target / name).read_bytes()
                facts = (rows, len(content), hashlib.sha256(content).hexdigest(), version, str(ready))
                entries.append(HistoryFile(dataset.name, f"{month:%Y-%m}", name, *facts))
        (target / "manifest.json").write_text(json.dumps([asdict(entry) for entry in entries]))
        written += len(entries)
    database.close()
    return written


def _write(database, log: Path, columns: str, month: date, target: Path) -> int:
    low, high = (datetime.combine(day, datetime.min.time()) for day in (month, _next_month(month)))
    style = (
        "FORMAT parquet, COMPRESSION zstd"
        if target.suffix == ".parquet"
        else "FORMAT csv, HEADER true, COMPRESSION gzip"
    )
    where = f"published_at >= TIMESTAMP '{low}' AND published_at < TIMESTAMP '{high}'"
    query = f"SELECT {columns} FROM (SELECT * FROM read_parquet('{log}') WHERE {where})"
    done = database.execute(f"COPY ({query}) TO '{target}' ({style})").fetchone()
    return int(done[0])


def _months(first_day: date, last_day: date) -> list[date]:
    month, months = first_day.replace(day=1), []
    while month <= last_day:
        months.append(month)
        month = _next_month(month)
    return months


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
