"""Samples through a connection: a table, an endpoint, a topic or a folder of files, read by its connector once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from contracting.sample import Record, Sample, list_of, records_of
from lakehouse import connections
from lakehouse.connections import Connection
from lakehouse.contracts import Contract, KnownAt
from lakehouse.errors import ConfigError, SourceError
from lakehouse.feeds import Feed
from lakehouse.time import utc_now

PROTOCOLS = {"dsn": "jdbc", "bootstrap": "stream", "folder": "files", "url": "rest"}
PHYSICAL = {"jdbc": "table", "stream": "topic", "rest": "json", "files": "file"}
WATERMARKS = ("booked_at", "updated_at", "changed_at", "created_at", "published_at")
BROKER = ("_key", "_partition", "_offset")  # where a message lay, which is no part of it
MOST_PARTS = 20


def of_connection(name: str, path: str, options: Mapping[str, Any], rows: int) -> Sample:
    """A sample of what stands at a path of a connection, with the feed options that were given or could be told."""
    connection = connections.connection(name)
    protocol = next((p for key, p in PROTOCOLS.items() if key in connection.settings), None)
    if protocol is None:
        raise ConfigError(
            f"connection {name!r} has none of {', '.join(PROTOCOLS)}", remedy="add one in the connections file"
        )
    told, notes = dict(options), ()
    if protocol == "jdbc" and not {"watermark", "changeLog"} & set(told):
        told["watermark"], notes = _watermark(connection, path)
    if protocol == "rest" and "records" not in told:
        told |= _paging(connection, path, told)
    contract = provisional(name, protocol, path, told)
    taken = islice(sent(contract, utc_now().date() + timedelta(days=1)), rows)
    records = [{name: value for name, value in record.items() if name not in BROKER} for record in taken]
    if not records:
        raise SourceError("nothing came", where=f"{name}: {path}", remedy="name a path that holds records")
    feed = {"connection": name, "protocol": protocol, "path": path, "options": told}
    return Sample(records, PHYSICAL[protocol], feed=feed, notes=notes)


def sent(contract: Contract, until: date) -> Iterator[Record]:
    """The records of a feed's first parts, flat, until enough were taken; nothing is kept."""
    for _, records in parts(contract, until):
        yield from records


def parts(contract: Contract, until: date, most: int = MOST_PARTS) -> Iterator[tuple[Any, Iterator[Record]]]:
    """A feed's first parts from its beginning, each with its records. A part is read before the next is fetched."""
    from spark_jobs.pull import runner

    assert contract.feed
    with tempfile.TemporaryDirectory(prefix="vinelake-try-") as folder:
        for part in runner.dry(contract, until, Path(folder), most):
            if part.format in ("json", "jsonl", "csv", "parquet"):
                yield part, _records(part, contract)


def _records(part: Any, contract: Contract) -> Iterator[Record]:
    from io import BytesIO

    assert contract.feed
    opened = BytesIO(part.body) if isinstance(part.body, bytes) else part.body.open("rb")
    with opened as stream:
        yield from records_of(stream, part.name, part.format, contract.feed.options.get("records"), contract.encoding)


def provisional(connection: str, protocol: str, path: str, options: Mapping[str, Any]) -> Contract:
    """A contract without columns, with which a connector can be asked before there is a real one."""
    feed = Feed(connection, protocol, path, connection, dict(options))
    texts = dict.fromkeys(("version", "title", "purpose", "limitations", "owner", "grain", "file_pattern"), "")
    empty: dict[str, Any] = {"version_order": (), "columns": (), "row_rules": (), "counts": ()}
    return Contract(
        id=f"{connection}__sample",
        encoding="utf-8",
        unknown_columns="refuse",
        max_quarantined_ratio=1.0,
        subject="",
        known_at=KnownAt("received"),
        fingerprint="",
        feed=replace(feed),
        **texts,
        **empty,
    )


def _watermark(connection: Connection, path: str) -> tuple[str, tuple[str, ...]]:
    """The column by which new rows of a table may be told, and what to make sure of."""
    from psycopg2 import sql

    from spark_jobs.pull.jdbc_session import session

    schema, _, table = path.rpartition(".")
    with session(connection, 60) as server:
        found = server.rows(
            sql.SQL(
                "select column_name, data_type from information_schema.columns "
                "where table_schema = %s and table_name = %s order by ordinal_position"
            ),
            (schema or "public", table),
        )
    if not found:
        raise SourceError(
            f"the database has no table {path}, or does not show it",
            where=connection.name,
            remedy="write schema.table, and see whether it may be read",
        )
    times = [name for name, kind in found if str(kind).startswith(("timestamp", "date"))]
    chosen = next((name for name in WATERMARKS if name in times), times[0] if times else None)
    if chosen is None:
        raise SourceError(
            f"{path} has no column of dates or times, so its new rows cannot be told",
            where=connection.name,
            remedy="pull its change log: --option changeLog=true",
        )
    return chosen, (f"TODO: make sure that {chosen} says when a row appeared; others: {', '.join(times)}",)


def _paging(connection: Connection, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Where an endpoint's answer holds its records and how it names the next page."""
    from spark_jobs.pull.rest_client import RestSource

    with RestSource(connection) as source:
        document = source.request(path, params=dict(options.get("params") or {})).document()
    records, found = list_of(document, path)
    told: dict[str, Any] = {"records": records} if records else {}
    if isinstance(document, Mapping):
        flags = {name: value for name, value in document.items() if not isinstance(value, list | Mapping)}
        cursor = next((n for n, v in flags.items() if "cursor" in n.lower() and isinstance(v, str | None)), None)
        if cursor:
            told["cursor"] = cursor
        if more := next((n for n, v in flags.items() if "more" in n.lower() and isinstance(v, bool)), None):
            told["more"] = more
    if found and isinstance(found[0], Mapping) and "published_at" in found[0]:
        told["published"] = "published_at"
    return told
