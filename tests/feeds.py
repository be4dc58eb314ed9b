"""A small pulled feed: its contract, and batches of it landed by hand, without a source system."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR, get_settings
from spark_jobs.landing import Batch
from spark_jobs.pull.draft import open_draft
from spark_jobs.pull.part import Part

METER = "grid__reading"
TEXT = """
apiVersion: v3.2.0
kind: DataContract
id: {id}
version: 1.0.0
status: active
domain: grid
customProperties:
  - {{property: subject, value: account}}
  - {{property: maxQuarantinedRatio, value: 0.5}}
  - {{property: knownAt, value: {{history: published, eventColumn: published_at, afterwards: received}}}}
  - {{property: schemaChange, value: {policy}}}
  - property: feed
    value: {{connection: grid, protocol: rest, path: readings, options: {{records: data.items{options}}}}}
schema:
  - name: reading
    logicalType: object
    properties:
      - name: record_id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {{pattern: "^R[0-9]+$"}}
      - {{name: published_at, logicalType: timestamp, required: true}}
      - {{name: account, physicalName: customer.no, logicalType: string, required: true}}
      - name: read_on
        physicalName: cbrq
        logicalType: date
        logicalTypeOptions: {{format: yyyyMMdd, minimum: "2000-01-01"}}
      - name: fee_cny
        physicalName: df
        logicalType: number
        physicalType: decimal(18,2)
        logicalTypeOptions: {{minimum: 0}}
        customProperties:
          - {{property: variants, value: [{{schemaVersion: 2, physicalName: df_fen, scale: "0.01"}}]}}
      - name: state
        physicalName: zt
        logicalType: string
        customProperties:
          - {{property: codes, value: {{"1": open, "2": closed}}}}
          - {{property: variants, value: [{{schemaVersion: 2, codes: {{A: open, B: closed}}}}]}}
      - {{name: heads, physicalName: rs, logicalType: integer}}
{columns}    quality:
      - {{name: too_dear, type: custom, engine: vinelake-row-rule, implementation: fee_cny < 9500000000000000}}
      - {{name: closed, type: custom, engine: vinelake-count, implementation: state = 'closed'}}
"""
PHONE = """      - {name: phone, physicalName: customer.lxdh, logicalType: string, classification: personal}
"""


def use_feed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str = "freeze", options: str = "", columns: str = ""
) -> Contract:
    """Makes a project whose only contract is the feed of meter readings, and returns that contract."""
    (folder / "contracts").mkdir(parents=True, exist_ok=True)
    (folder / "lakehouse").exists() or (folder / "lakehouse").symlink_to(PROJECT_DIR / "lakehouse")
    path = folder / "contracts" / f"{METER}.yaml"
    path.write_text(TEXT.format(id=METER, policy=policy, options=options, columns=columns), encoding="utf-8")
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(folder))
    get_settings.cache_clear()
    return contracts.load(path)


def reading(number: int = 1, at: str = "2020-01-05T10:00:00+08:00", **fields: Any) -> dict[str, Any]:
    """One record as the source sends it in schema version 1; fields named `None` are left out."""
    record = {
        "record_id": f"R{number}", "published_at": at, "customer": {"no": f"C{number % 7}"}, "cbrq": "20200104",
        "df": 12.5, "zt": "1", "rs": 3,
    } | fields  # fmt: skip
    return {name: value for name, value in record.items() if value is not ...}


def page(records: Sequence[Mapping[str, Any]], name: str = "page-000001.json", version: int = 1) -> Part:
    """A JSON document of records, as a REST source answers."""
    body = json.dumps({"data": {"items": list(records)}, "next": None}, ensure_ascii=False).encode()
    return Part(name, _packed(name, body), "json", len(records), _names(records), {"after": name}, version)


def lines(records: Sequence[Mapping[str, Any] | str], name: str = "part-000001.jsonl.gz", version: int = 1) -> Part:
    """JSON lines, as streams and databases are kept; a text stands as it is."""
    texts = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    fields = _names([r for r in records if not isinstance(r, str)])
    body = _packed(name, "".join(f"{text}\n" for text in texts).encode())
    return Part(name, body, "jsonl", len(texts), fields, {"after": name}, version)


def table(records: Sequence[Mapping[str, Any]], name: str = "bulk.csv.gz", version: int = 1) -> Part:
    """A CSV file with dotted names for nested members."""
    flat = [_flat(record) for record in records]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    body = _packed(name, stream.getvalue().encode())
    return Part(name, body, "csv", len(flat), tuple(flat[0]), {"after": name}, version)


def columns(records: Sequence[Mapping[str, Any]], folder: Path, name: str = "bulk.parquet", version: int = 1) -> Part:
    """A Parquet file with typed columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / name
    pq.write_table(pa.Table.from_pylist([dict(r) for r in records]), path)
    return Part(name, path, "parquet", len(records), _names(records), {"after": name}, version)


def land(contract: Contract, day: str, *parts: Part) -> Batch:
    """Lands parts as one batch received on a day, as a pull would."""
    draft, _ = open_draft(contract, date.fromisoformat(day))
    for part in parts:
        draft.add(part)
    batch = draft.commit()
    assert batch is not None
    return batch


def _names(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record))


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _packed(name: str, body: bytes) -> bytes:
    return gzip.compress(body, mtime=0) if name.endswith(".gz") else body
