"""What a connector yields: one received piece and where to go on after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from lakehouse.connections import Connection
from lakehouse.contracts import Contract

FORMATS = ("json", "jsonl", "csv", "parquet")


@dataclass(frozen=True)
class Part:
    """One received piece: a page, a range of messages, a table's new rows, a file.

    `name` is the file's name within the batch, the same on every try (`page-000001.json`; `.gz` where compressed).
    `body` is the bytes as received, or the path of a file in the spool that is moved into the batch. `format`: `json`
    is one document with its records in the list that the feed's option `records` names (dotted), `jsonl` one record a
    line, `csv` with a header, `parquet`, `binary` a document that is kept and not read: without records,
    and none for feeds with personal fields. `records` counts records, `fields` names every field seen in them. After
    `cursor` the feed goes on when this part is kept; it is plain JSON.
    """

    name: str
    body: bytes | Path
    format: str
    records: int
    fields: tuple[str, ...]
    cursor: Mapping[str, Any]
    schema_version: int = 1


@dataclass(frozen=True)
class Pull:
    """One run of a feed: everything published after `cursor` (None: from the beginning) and before `until` begins.

    `until` is the partition's date, its midnight in China. A page that straddles it may bring more; what comes early is
    known only when it was published. `spool` is a folder for files on their way; it is emptied when the pull ends.
    `number` counts the parts that the batch holds already: the first one of this run is `number` + 1.
    """

    contract: Contract
    connection: Connection
    until: date
    cursor: Mapping[str, Any] | None
    spool: Path
    number: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


class Connector(Protocol):
    """A protocol. `fetch` yields parts in order, holds at most one in memory, and ends when nothing more is there.

    It raises SourceError (with its kind) for whatever the source does wrong, and never loops for ever. Where each part
    is whole by itself (an answer that was paid for), `is_whole = True` lands those before the failure at once.
    """

    def fetch(self, pull: Pull) -> Iterator[Part]: ...
