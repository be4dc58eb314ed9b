"""A message as one line of JSON: as it was sent where it is a JSON object, whole and marked where it is not.

A line has the message's members and ours: `_key`, `_partition`, `_offset`, `_received_at` (the broker's time, in
China's zone). What is not a JSON object in UTF-8 stands as `_raw` (text) or `_raw_base64` (any bytes): it lacks every
field of the contract, so it is quarantined with its place, and lost to nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from confluent_kafka import Message

from lakehouse.settings import get_settings
from spark_jobs.pull.lines import joined, json_object, plain

OWN = ("_key", "_partition", "_offset", "_received_at")
RAW = ("_raw", "_raw_base64")
FIRST_VERSION = 1


@dataclass(frozen=True)
class Line:
    """A message as kept; `fields` are the members it was sent with."""

    text: bytes
    version: int
    fields: Mapping[str, None]


def line_of(message: Message, version_field: str) -> Line:
    """The line of a message, and the schema version that it states (1 where it states none)."""
    ours = {
        "_key": _text(message.key()),
        "_partition": message.partition(),
        "_offset": message.offset(),
        "_received_at": _time(message.timestamp()[1]),
    }
    value = message.value()
    sent = json_object(value or b"", (*OWN, *RAW))
    if sent is None:
        return Line(plain(ours | _raw(value)), FIRST_VERSION, {})
    stated = sent[1].get(version_field, FIRST_VERSION)
    is_number = isinstance(stated, int) and not isinstance(stated, bool) and 0 < stated < 1 << 31
    return Line(joined(ours, sent), stated if is_number else FIRST_VERSION, dict.fromkeys(sent[1]))


def _raw(value: bytes | None) -> dict[str, str | None]:
    if value is None:
        return {"_raw": None}
    try:
        return {"_raw": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"_raw_base64": base64.b64encode(value).decode("ascii")}


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode("utf-8", "backslashreplace")


def _time(milliseconds: int) -> str | None:
    if milliseconds < 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, _zone()).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):  # no year of any calendar
        return None


@lru_cache(maxsize=1)
def _zone() -> ZoneInfo:
    return ZoneInfo(get_settings().timezone)
