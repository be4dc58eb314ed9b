"""JSON lines on their way into a batch: a record as it was sent with members of our own, and the file of many.

The same records give the same bytes on every try.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

BUFFER_BYTES = 1 << 18
LEVEL = 5
# JSON knows these as blanks only, so they may become spaces: a line stays a line.
BREAKS = str.maketrans("\r\n", "  ")


class JsonLines:
    """Takes lines in, one record each, and holds no more than a buffer of them. `path` ends in `.jsonl.gz`."""

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, 0
        self._raw = path.open("wb")
        # Without name and time in its head, the file depends on its lines alone.
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=self._raw, mtime=0)
        self._waiting = bytearray()

    def add(self, line: bytes) -> None:
        """Adds one record: UTF-8 without a line break."""
        self._waiting += line
        self._waiting += b"\n"
        self.records += 1
        if len(self._waiting) >= BUFFER_BYTES:
            self._pass_on()

    def close(self) -> Path:
        """Ends the file and returns its path."""
        self._pass_on()
        self._zip.close()
        self._raw.close()
        return self.path

    def discard(self) -> None:
        """Closes and removes the file."""
        with contextlib.suppress(OSError, ValueError):  # the disk may be full
            self._zip.close()
        self._raw.close()
        self.path.unlink(missing_ok=True)

    def _pass_on(self) -> None:
        self._zip.write(self._waiting)
        self._waiting.clear()


def json_object(value: bytes, reserved: Collection[str]) -> tuple[str, dict[str, Any]] | None:
    """The text of a JSON object, on one line and else as it was sent, with its members.

    None where the bytes are something else: no UTF-8, no JSON, no object, or one with a member of a reserved name.
    """
    try:
        text = value.decode("utf-8")
        found = _DECODER.decode(text)
        if not isinstance(found, dict) or any(name in found for name in reserved):
            return None
        "".join(found).encode("utf-8")  # half of a surrogate pair names no field
    except (ValueError, RecursionError):
        return None
    text = text.strip(" \t\r\n")
    return (text.translate(BREAKS) if "\n" in text or "\r" in text else text), found


def joined(ours: Mapping[str, Any], sent: tuple[str, dict[str, Any]]) -> bytes:
    """A line with members of our own before those of an object."""
    text, members = sent
    return plain(ours)[:-1] + (b"," + text[1:].encode("utf-8") if members else b"}")


def plain(members: Mapping[str, Any]) -> bytes:
    """A line of JSON."""
    return _ENCODER.encode(members).encode("utf-8")


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
