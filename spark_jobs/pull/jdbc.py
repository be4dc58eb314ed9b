"""A table of a PostgreSQL database, pulled in slices: by a watermark column, or by the numbers of a change log.

A slice is one `COPY` of at most `rows` rows in the order of (watermark, key), so that rows of one instant are neither
lost nor doubled wherever a slice or a run ends. A line is the row as JSON, each value in the server's own text, null
where there is none. Options of the feed, whose path is `schema.table`:

- `watermark`: the column that says when a row appeared or changed; a time of day without zone is China's.
- `key`: columns that tell rows of one watermark apart; the primary key where it is not given.
- `columns`: what is taken; every column where it is not given.
- `overlapDays`: how far a later pull goes back, for databases whose transactions end days after their watermark; rows
  that come again are duplicates in bronze. 0 where rows appear in the order of their watermark.
- `changeLog`: `true`, or the names of its columns (`id`, `changedAt`, `row`, `op`), for a log of whole rows. A line is
  the row's members with `_change_id`, `_changed_at` and `_op`.
- `filter`: column and value that rows must have, as in `table_name: loan`.
- `rows`: rows of a slice; `timeoutSeconds`: how long the server may take for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lakehouse.errors import SourceError
from lakehouse.time import business_midnight
from spark_jobs.pull.jdbc_query import CHANGE, ChangeLog, Watermark, plan
from spark_jobs.pull.jdbc_session import Session, session
from spark_jobs.pull.lines import JsonLines
from spark_jobs.pull.part import Part, Pull

ROWS = 50_000
TIMEOUT_SECONDS = 600


class Jdbc:
    """The connector of protocol `jdbc`. The connection's setting is `dsn`, an address as libpq reads it."""

    def fetch(self, pull: Pull) -> Iterator[Part]:
        """Slices of rows that appeared before `until`; the cursor is the last row's watermark and key."""
        rows = int(pull.options.get("rows", ROWS))
        timeout = float(pull.options.get("timeoutSeconds", TIMEOUT_SECONDS))
        until = business_midnight(pull.until).replace(tzinfo=None).isoformat(sep=" ")
        with session(pull.connection, timeout) as server:
            query = plan(server, pull.contract.feed.path, pull.options, until)
            cursor, number = pull.cursor, pull.number
            while True:
                number += 1
                received = _slice(server, query, cursor, rows, pull, number)
                if received.lines.records:
                    cursor = query.cursor(received.last)
                    yield Part(
                        name=received.lines.path.name,
                        body=received.lines.path,
                        format="jsonl",
                        records=received.lines.records,
                        fields=tuple(query.fields or _asked(received.fields, pull)),
                        cursor=cursor,
                    )
                else:
                    received.lines.discard()
                if received.lines.records < rows:
                    return


@dataclass
class _Slice:
    """Takes what `COPY` sends: one row a call (PostgreSQL documentation, Message Formats, CopyData)."""

    lines: JsonLines
    is_log: bool
    last: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, None] = field(default_factory=dict)
    _newest: bytes = b""

    def write(self, row: bytes) -> int:
        # JSON leaves no control character raw: all that COPY's text form escapes in it is the backslash, by doubling.
        self._newest = row.rstrip(b"\n").replace(b"\\\\", b"\\")
        self.lines.add(self._newest)
        if self.is_log:
            self.fields.update(dict.fromkeys(_members(self._newest)))
        return len(row)

    def close(self) -> None:
        self.lines.close()
        if self._newest:
            self.last = _members(self._newest)


def _slice(server: Session, query: Watermark | ChangeLog, cursor: Any, rows: int, pull: Pull, number: int) -> _Slice:
    lines = JsonLines(pull.spool / f"rows-{number:06d}.jsonl.gz")
    received = _Slice(lines, is_log=isinstance(query, ChangeLog))
    try:
        server.copy(query.select(cursor, rows), received)
        received.close()
    except BaseException:
        lines.discard()
        raise
    return received


def _asked(fields: Iterable[str], pull: Pull) -> Iterator[str]:
    """The row's members, and of the change's those that the contract asks for."""
    asked = {c.source_name for c in pull.contract.columns}
    return (name for name in fields if name not in CHANGE or name in asked)


def _members(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise SourceError(
            "a change holds no row",
            where=line[:200].decode("utf-8", "replace"),
            remedy="ask the database's keeper what the change means; nothing of this slice was taken in",
        )
    return found


CONNECTOR = Jdbc()
