"""Contracts and lakehouses of a test's own, for feeds that no committed contract describes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse import contracts
from lakehouse.contracts import Contract
from tests.connectors.kill_runs import Place


def contract_document(
    contract_id: str,
    columns: Sequence[str | Mapping[str, Any]],
    feed: Mapping[str, Any],
    schema_change: str = "evolve",
    **own: Any,
) -> dict[str, Any]:
    """A contract as its file holds it; the first column is the key. A column is a name or its ODCS entry."""
    properties = [{"logicalType": "string", **({"name": c} if isinstance(c, str) else c)} for c in columns]
    properties[0] |= {"required": True, "primaryKey": True, "primaryKeyPosition": 1}
    key = properties[0]["name"]
    facts = {"subject": key, "knownAt": {"history": "received", "afterwards": "received"}}
    facts |= {"feed": dict(feed), "schemaChange": schema_change, **own}
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": contract_id,
        "name": contract_id,
        "version": "1.0.0",
        "status": "active",
        "customProperties": [{"property": name, "value": value} for name, value in facts.items()],
        "schema": [{"name": "record", "physicalName": contract_id, "logicalType": "object", "properties": properties}],
    }


def write_contract(folder: Path, document: Mapping[str, Any]) -> Contract:
    """Writes a contract's file (JSON is YAML too) and reads it as the lakehouse does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['id']}.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return contracts.load(path)


def make_place(
    folder: Path, documents: Sequence[Mapping[str, Any]], connections: Mapping[str, Any], name: str = "lakehouse"
) -> Place:
    """A lakehouse in `folder/name`; lakehouses of one folder share contracts and connections."""
    for document in documents:
        write_contract(folder / "contracts", document)
    path = folder / "connections.json"
    path.write_text(json.dumps(connections), encoding="utf-8")
    (folder / name).mkdir(exist_ok=True)
    return Place(folder / name, folder, path)
