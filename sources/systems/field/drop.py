"""The drop folder: one subfolder a day, files written aside and renamed, the day's manifest last.

A day is complete when its `manifest.json` is there. A writer that dies leaves a day without one; the next run writes
that day anew, with the same bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path

from sources.systems.field import documents, evidence
from sources.systems.projection import first_day, open_world, windows
from sources.systems.world import fingerprint

MANIFEST = "manifest.json"


def folder(home: Path) -> Path:
    """Where the days' subfolders appear."""
    return home / "field" / "drop"


def advance(home: Path, world: Path, until: dt.date) -> None:
    """Writes every missing day up to and including `until`, in order."""
    behind = list(windows(complete_through(folder(home)), first_day(world), until))
    if not behind:
        return
    source = open_world(world)
    evidence.prepare(source, world)
    font = documents.chinese_font(
        folder(home).parent / f"font-{fingerprint(world)[:12]}.ttf", evidence.characters(source)
    )
    for first, last in behind:
        files = evidence.files(source, first, last, font)
        day = first
        while day <= last:
            write_day(folder(home) / str(day), files.get(day, {}))
            day += dt.timedelta(days=1)


def complete_through(root: Path) -> dt.date | None:
    """The last day with a manifest; all days before it have one too."""
    days = sorted(path.parent.name for path in root.glob(f"*/{MANIFEST}"))
    return dt.date.fromisoformat(days[-1]) if days else None


def write_day(target: Path, files: dict[str, bytes]) -> None:
    """Writes a day's files by their path below the day's folder, and then the manifest that lists them."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for name, content in sorted(files.items()):
        path = target / name
        path.parent.mkdir(exist_ok=True)
        put(path, content)
    listed = [
        {"file": name, "kind": name.split("/")[0], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    ]
    put(target / MANIFEST, json.dumps({"day": target.name, "files": listed}, indent=1).encode())


def put(path: Path, content: bytes) -> None:
    """A file that appears whole: written under another name, then renamed."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(content)
    draft.rename(path)
