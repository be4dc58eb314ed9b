"""Samples of a source: a file, or the first part that a connector brings, as flat records.

A record's nested members have dotted names; lists stand as JSON text. Values are as JSON has them; in text files all
are text.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow.parquet

from lakehouse.errors import ConfigError, SourceError

Record = dict[str, Any]
ENCODINGS = ("utf-8-sig", "gb18030")


@dataclass(frozen=True)
class Sample:
    """Records of one entity and where they are from.

    `physical` is csv, json, jsonl, parquet, table or topic; `feed` is the contract's property, None for a file that
    comes in drops, whose names fit `file_pattern`.
    """

    records: list[Record]
    physical: str
    encoding: str = "utf-8"
    file_pattern: str | None = None
    feed: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)


def of_file(path: Path, rows: int, connection: str | None = None) -> Sample:
    """A sample of a CSV, JSON, JSON lines or Parquet file, the first three also gzipped."""
    form, pattern = form_of(path.name), re.sub(r"\d+", "*", path.name)
    encoding = _encoding(path) if form == "csv" else "utf-8"
    options: dict[str, Any] = {}
    if form == "json":
        with path.open("rb") as stream:
            listed, _ = list_of(_document(stream, path.name), path.name)
        options |= {"records": listed} if listed else {}
    with path.open("rb") as stream:
        records = list(islice(records_of(stream, path.name, form, options.get("records"), encoding), rows))
    if not records:
        raise SourceError("the sample has no record", where=str(path), remedy="give a file with at least one")
    feed = {"connection": connection, "protocol": "files", "path": pattern, "options": options} if connection else None
    return Sample(records, form, encoding, None if connection else pattern, feed)


def form_of(name: str) -> str:
    """The format that a file's name tells; a ConfigError for one that cannot be read as records."""
    suffix = PurePosixPath(name.lower().removesuffix(".gz")).suffix.lstrip(".")
    if suffix not in ("csv", "json", "jsonl", "parquet"):
        raise ConfigError(
            f"{name} is no sample", remedy="a file ending in .csv, .json, .jsonl (each also .gz) or .parquet"
        )
    return suffix


def records_of(
    stream: BinaryIO, name: str, form: str, records: str | None = None, encoding: str = "utf-8"
) -> Iterator[Record]:
    """The records of a file or part in a stream, flat; a SourceError where they cannot be read."""
    try:
        if form == "parquet":
            for batch in pyarrow.parquet.ParquetFile(stream).iter_batches(1000):
                yield from ({k: _plain(v) for k, v in flat(row).items()} for row in batch.to_pylist())
        elif form == "json":
            found = _document(stream, name)
            for step in (records or "").split(".") if records else ():
                found = found[step]
            yield from (flat(record) for record in (found if isinstance(found, list) else [found]))
        elif form == "jsonl":
            yield from (flat(json.loads(line)) for line in _text(stream, name, "utf-8") if line.strip())
        else:
            yield from csv.DictReader(_text(stream, name, encoding), strict=True)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, OSError, EOFError, pyarrow.ArrowException) as e:
        raise SourceError(
            f"not readable as {form}: {type(e).__name__}: {e}", where=name, remedy="see what the source sends"
        ) from e


def flat(record: Mapping[str, Any], prefix: str = "") -> Record:
    """A record with dotted names for nested members; lists as JSON text."""
    found: Record = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(value, ensure_ascii=False, default=str) if _is_list(value) else value
    return found


def list_of(document: Any, where: str) -> tuple[str | None, list[Any]]:
    """(dotted name, records) of the first list of objects in a document; a single object is one record."""
    if isinstance(document, list):
        return None, document
    if not isinstance(document, Mapping):
        raise SourceError("the document holds no object", where=where, remedy="give a source of objects")
    waiting: list[tuple[str, Any]] = list(document.items())
    while waiting:
        name, value = waiting.pop(0)
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            return name, value
        if isinstance(value, Mapping):
            waiting += [(f"{name}.{inner}", v) for inner, v in value.items()]
    return None, [document]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, Decimal) else value


def _text(stream: BinaryIO, name: str, encoding: str) -> io.TextIOWrapper:
    source = gzip.GzipFile(fileobj=stream) if name.lower().endswith(".gz") else stream
    return io.TextIOWrapper(source, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")  # type: ignore[arg-type]


def _document(stream: BinaryIO, name: str) -> Any:
    try:
        return json.loads(_text(stream, name, "utf-8").read())
    except ValueError as error:
        raise SourceError(f"not readable as json: {error}", where=name, remedy="see what the source sends") from error


def _encoding(path: Path) -> str:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    for encoding in ENCODINGS:
        try:
            with opener(path, "rt", encoding=encoding) as stream:
                while stream.read(1 << 20):
                    pass
        except UnicodeDecodeError:
            continue
        return "utf-8" if encoding == "utf-8-sig" else encoding
    raise SourceError(
        f"the text is neither of {', '.join(ENCODINGS)}", where=str(path), remedy="save the file as UTF-8"
    )
