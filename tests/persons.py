"""A register of people for tests of sealing: its contract, its records, and every clear value in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse import contracts
from lakehouse.contracts import Contract
from spark_jobs.pull import sealing
from spark_jobs.pull.part import Part
from tests import feeds

CONTRACT = """
apiVersion: v3.2.0
kind: DataContract
id: {id}
name: "People of firms"
version: 1.0.0
status: active
{sla}customProperties:
  - {{property: subject, value: firm_key}}
  - {{property: knownAt, value: {{history: received, afterwards: received}}}}
  - property: feed
    value:
      connection: people
      protocol: files
      path: "{path}"
      options: {options}
  - {{property: schemaChange, value: evolve}}
schema:
  - name: person
    physicalName: {id}
    logicalType: object
    properties:
      - {{name: record_id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: firm_key, physicalName: "{prefix}firm", logicalType: string, required: true}}
      - {{name: capital, physicalName: "{prefix}capital", logicalType: number, physicalType: "decimal(18,3)"}}
      - name: person_name
        physicalName: "{prefix}name"
        logicalType: string
        classification: personal
        customProperties:
          - {{property: dataSubject, value: person_number}}
          - {{property: tokenKind, value: person_name}}
          - property: variants
            value: [{{schemaVersion: 2, physicalName: "{prefix}full_name"}}]
      - name: person_number
        physicalName: "{prefix}number"
        logicalType: string
        classification: personal
        customProperties:
          - {{property: dataSubject, value: person_number}}
          - {{property: tokenKind, value: identity_number}}
"""
FIELDS = ("record_id", "firm", "capital", "name", "number")
SURNAMES, GIVEN = "赵钱孙李周吴郑王", ("一鸣", "二妮", "三立", "四维")


def contract(
    folder: Path,
    id_: str = "people__person",
    path: str = "*",
    prefix: str = "",
    options: Mapping[str, Any] | None = None,
    sla: str = "",
) -> Contract:
    """The contract, written to a folder of contracts and loaded; `prefix` nests the fields (`payload.`)."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{id_}.yaml"
    text = CONTRACT.format(id=id_, path=path, prefix=prefix, options=json.dumps(dict(options or {})), sla=sla)
    file.write_text(text, encoding="utf-8")
    return contracts.load(file)


def person(i: int) -> dict[str, Any]:
    """The i-th record; one person in ten stands in it twice, names repeat more often."""
    who = i - i % 10 if i % 10 == 1 else i
    return {
        "record_id": f"R{i:06d}",
        "firm": f"F{i % 7}",
        "capital": 100.0 + i,
        "name": SURNAMES[who % 8] + GIVEN[who % 4] + chr(0x4E00 + who % 900),
        "number": f"33010619{who:010d}",
    }


def people(count: int) -> list[dict[str, Any]]:
    return [person(i) for i in range(count)]


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return b"".join(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records)


def clear_values(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Every personal value of the records."""
    return {str(r[field]) for r in records for field in ("name", "number")}


def leaks(folder: Path, values: Iterable[str]) -> list[str]:
    """Files below a folder that hold any of the values, also as JSON escapes and within gzip."""
    import gzip

    sought = [v.encode() for v in values] + [json.dumps(v)[1:-1].encode() for v in values]
    found = []
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        if any(value in content for value in sought):
            found.append(str(path))
    return found


def land(contract: Contract, day: str, records: Sequence[Mapping[str, Any]], fields: tuple[str, ...] = FIELDS) -> None:
    """Seals and lands records as a pull does."""
    with sealing.sealer(contract) as seal:
        sealed = seal(Part("people.jsonl", lines(records), "jsonl", len(records), fields, {"after": day}))
    feeds.land(contract, day, sealed.part)
