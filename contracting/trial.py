"""One dry pull of a feed, judged by its contract without the engine: what came, how it fits, what would be quarantined.

Nothing is kept: no part, no cursor, no line in a ledger. Column rules are tried in Python, row rules in DuckDB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from contracting import remote, values
from contracting.profile import profiles
from contracting.sample import Record
from lakehouse.contracts import Column, Contract
from lakehouse.errors import ConfigError

ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
MOST_EXAMPLE = 40


@dataclass(frozen=True)
class Fit:
    """A column of the contract beside what came under its name; `share` of the records have a value."""

    column: str
    source_name: str
    stated: str
    found: str
    share: float
    example: str


@dataclass
class Trial:
    """What a dry pull brought. `reasons` counts records by reason code; one record may have several."""

    contract: str
    parts: int = 0
    records: int = 0
    quarantined: int = 0
    schema_versions: tuple[int, ...] = ()
    differences: tuple[str, ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    fits: list[Fit] = field(default_factory=list)


def run(contract: Contract, until: date, most_parts: int = 1) -> Trial:
    """Pulls the first parts of a feed, from its beginning, and judges them; SourceError where it does wrong."""
    from spark_jobs.pull import schema_change

    if contract.feed is None:
        raise ConfigError(
            f"contract {contract.id} has no feed: it claims files of a drop", remedy="try it with `vinelake ingest`"
        )
    trial, seen, versions, differing = Trial(contract.id), [], {}, {}
    for part, records in remote.parts(contract, until, most_parts):
        rows = list(records)
        found = schema_change.differences(contract, part.fields, part.schema_version, part.format)
        differing |= dict.fromkeys(found)
        versions[part.schema_version] = None
        trial.parts += 1
        _judge(trial, contract.at_version(part.schema_version), rows, until)
        seen += rows
    trial.schema_versions, trial.differences = tuple(versions), tuple(differing)
    trial.fits = _fits(contract.at_version(max(versions, default=1)), seen)
    return trial


def _judge(trial: Trial, contract: Contract, records: Sequence[Record], until: date) -> None:
    reasons: list[set[str]] = []
    typed: list[dict[str, Any]] = []
    for record in records:
        row, broken = {}, set()
        for column in contract.columns:
            row[column.name], codes = values.read(column, values.sent_under(column, record), until)
            broken.update(codes)
        typed.append(row)
        reasons.append(broken)
    for number, name in _broken_rules(contract, typed):
        reasons[number].add(name)
    trial.records += len(records)
    trial.quarantined += sum(map(bool, reasons))
    trial.reasons.update(reason for broken in reasons for reason in broken)


def _broken_rules(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """(row, name of rule) of every row rule that a row breaks."""
    if not rows or not contract.row_rules:
        return []
    schema = pa.schema([("row_number_", pa.int64()), *((c.name, _arrow(c)) for c in contract.columns)])
    table = pa.Table.from_pylist([{"row_number_": n, **row} for n, row in enumerate(rows)], schema)
    broken = []
    with duckdb.connect() as database:
        database.register("sample", table)
        for rule in contract.row_rules:
            condition = sqlglot.transpile(rule.condition, read="spark", write="duckdb")[0]
            found = database.execute(f"SELECT row_number_ FROM sample WHERE NOT ({condition})").fetchall()
            broken += [(number, rule.name) for (number,) in found]
    return broken


def _arrow(column: Column) -> pa.DataType:
    if column.spark_type.startswith("decimal"):
        return pa.decimal128(*map(int, column.spark_type[len("decimal(") : -1].split(",")))
    return ARROW[column.spark_type]


def _fits(contract: Contract, records: Sequence[Record]) -> list[Fit]:
    sent = [{c.source_name: values.sent_under(c, r) for c in contract.columns} for r in records]
    looks = {p.source_name: p for p in profiles(sent)}
    found = []
    for column in contract.columns:
        look = looks.get(column.source_name)
        stated = f"{column.spark_type}{' ' + column.date_format if column.spark_type == 'date' else ''}"
        seen = (
            "nothing" if look is None or not look.share else look.logical + (f" {look.format}" if look.format else "")
        )
        shown = "sealed" if column.is_personal else (look.example[:MOST_EXAMPLE] if look else "")
        found.append(Fit(column.name, column.source_name, stated, seen, look.share if look else 0.0, shown))
    return found
