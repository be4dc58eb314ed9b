"""Files that are only ever added to: one JSON object a line, for ledgers that need no engine.

A line is written in one call, so lines of several processes do not mix; one that a crash cut short is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append(path: Path, entry: Mapping[str, Any], private: bool = False) -> None:
    """Adds an entry and waits until it is on the disk; a `private` file is its owner's alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
    line = (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8")
    number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600 if private else 0o644)
    try:
        size = os.fstat(number).st_size
        torn = size > 0 and os.pread(number, 1, size - 1) != b"\n"
        os.write(number, b"\n" + line if torn else line)
        os.fsync(number)
    finally:
        os.close(number)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Every entry, oldest first; none where there is no file."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
