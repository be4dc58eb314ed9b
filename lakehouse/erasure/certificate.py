"""Certificates of erasure: what was removed where, by whom and on what ground; never whose it was.

A certificate is a JSON file and the same as Markdown, both named by the number of the erasure, and a row of
`control.erasure`. Each holds the hash of the one before: one that was changed or taken out is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakehouse import control
from lakehouse.errors import ConfigError, IntegrityError
from lakehouse.settings import get_settings
from lakehouse.time import utc_now

SCHEMA = "seq bigint, erasure string, issued_at string, certificate string, previous_hash string, entry_hash string"


def folder() -> Path:
    """Where the certificates of the lakehouse in use lie."""
    return get_settings().home / "erasures" / (get_settings().environment or "main")


def issue(erasure: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the certificate of an erasure into the ledger, once, then its files; returns it as it stands."""
    control.ensure("erasure", SCHEMA)
    seen, held = control.version("erasure"), verified()
    body = next((each for each in held if each["erasure"] == erasure), None)
    if body is None:
        body = {
            "seq": len(held) + 1,
            "erasure": erasure,
            "issued_at": utc_now().isoformat(timespec="seconds"),
            **facts,
            "previous_hash": held[-1]["entry_hash"] if held else "",
        }
        body["entry_hash"] = _hash(body)
        text = json.dumps(body, ensure_ascii=False, sort_keys=True)
        row = (body["seq"], erasure, body["issued_at"], text, body["previous_hash"], body["entry_hash"])
        if not control.append_next("erasure", SCHEMA, [row], seen):
            raise IntegrityError(
                "another erasure ended at the same moment",
                where=f"control.erasure, entry {body['seq']}",
                remedy="ask for the erasure again: what is gone is found gone, and the certificate follows",
            )
    folder().mkdir(parents=True, exist_ok=True)
    (folder() / f"{erasure}.json").write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder() / f"{erasure}.md").write_text(as_markdown(body), encoding="utf-8")
    return body


def verified() -> list[dict[str, Any]]:
    """Every certificate in order; an IntegrityError names the first that was changed or does not follow."""
    rows = sorted(control.rows("erasure", SCHEMA), key=lambda row: row["seq"])
    held = [json.loads(row["certificate"]) for row in rows]
    previous = ""
    for number, body in enumerate(held, start=1):
        if (body["seq"], body["previous_hash"], body["entry_hash"]) != (number, previous, _hash(body)):
            raise IntegrityError(
                "a certificate of erasure was changed, or one before it is missing",
                where=f"control.erasure, entry {number}",
                remedy="compare it with the files of the certificates, and with a backup",
            )
        previous = body["entry_hash"]
    return held


def read(erasure: str) -> dict[str, Any]:
    """A certificate by its number or its file; refused where its hash does not fit its content."""
    path = Path(erasure) if erasure.endswith(".json") else folder() / f"{erasure}.json"
    if not path.is_file():
        raise ConfigError("there is no such certificate", where=str(path), remedy="`vinelake erase list`")
    body = json.loads(path.read_text(encoding="utf-8"))
    if body.get("entry_hash") != _hash(body):
        raise IntegrityError("the certificate was changed: its hash does not fit its content", where=str(path))
    return body


def as_markdown(body: Mapping[str, Any]) -> str:
    """The certificate for people."""
    lines = [f"# Certificate of erasure {body['erasure']}", "", "| fact | value |", "| --- | --- |"]
    plain = {k: v for k, v in body.items() if not isinstance(v, list | dict)}
    lines += [f"| {name.replace('_', ' ')} | {value} |" for name, value in plain.items()]
    for name, value in body.items():
        if isinstance(value, list | dict):
            lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", *_listed(value)]
    return "\n".join(lines) + "\n"


def _listed(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"- {name.replace('_', ' ')}: {each}" for name, each in value.items()] or ["none"]
    if value and isinstance(value[0], dict):
        columns = list(dict.fromkeys(key for row in value for key in row))
        head = ["| " + " | ".join(c.replace("_", " ") for c in columns) + " |", "|" + " --- |" * len(columns)]
        return head + ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in value]
    return [f"- {each}" for each in value] or ["none"]


def _hash(body: Mapping[str, Any]) -> str:
    plain = {k: v for k, v in body.items() if k != "entry_hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
