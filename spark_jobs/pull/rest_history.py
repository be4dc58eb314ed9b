"""Bulk files of a REST source's past: they come before its list, one part a file, each checked against its manifest.

The manifest (`history.path`) is a document with a list of `files` and, where the source has one, a list of `resume`
entries. A file's entry tells its `name`, `url`, `period` (a year, month or day), `sha256`, `bytes`, `rows` and
`schema_version`; a resume entry tells after which period its `cursor` goes on with the list. `dataset` keeps the
entries of one dataset where a manifest lists several. Files are taken in order of period, those of periods that ended
by the pull's date; so a killed pull goes on with the first file that it does not hold.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from lakehouse.errors import SourceError
from spark_jobs.pull.part import Part, Pull
from spark_jobs.pull.rest_client import RestSource
from spark_jobs.pull.rest_options import HistoryOptions
from spark_jobs.pull.rest_pages import dotted

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
DIGEST = re.compile(r"[0-9a-f]{64}")
BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class Entry:
    """One file as its manifest lists it; `until` is the first day after its period."""

    name: str
    url: str
    period: str
    until: date
    sha256: str
    bytes: int | None
    rows: int | None
    schema_version: int


def fetch(
    pull: Pull, source: RestSource, options: HistoryOptions, state: Mapping[str, Any]
) -> Generator[Part, None, dict[str, Any]]:
    """Yields the files that are not held yet; returns the state in which the list goes on.

    `state` is `{"after": [period, name]}`, the last file that is held; the list's is `{"next": cursor}` where the
    manifest has a cursor for just that period, `{"since": day}` otherwise, and empty where there was no file.
    """
    document = source.request(options.path).document()
    after = tuple(state.get("after") or ("", ""))
    last: Entry | None = None
    for entry in _entries(source, document, options):
        if entry.until > pull.until:
            break
        last = entry
        if (entry.period, entry.name) > after:
            yield _part(pull, source, entry, options.max_file_bytes)
    if last is None:
        return {}
    return _go_on(document, options, last)


def _entries(source: RestSource, document: Any, options: HistoryOptions) -> list[Entry]:
    where = f"{source.base}{options.path}"
    listed = dotted(document, options.files)
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        _stop(f"the manifest of history files has no list {options.files!r}", where)
    mine = [e for e in listed if options.dataset is None or e.get("dataset") == options.dataset]
    found = sorted((_entry(e, options, where) for e in mine), key=lambda e: (e.period, e.name))
    names = [entry.name for entry in found]
    if len(set(names)) < len(names):
        _stop("the manifest of history files lists a name twice", where)
    return found


def _entry(listed: Mapping[str, Any], options: HistoryOptions, where: str) -> Entry:
    name, url, period = (listed.get(key) for key in (options.name, options.url, options.period))
    sha256, size, rows = (listed.get(key) for key in (options.sha256, options.bytes, options.rows))
    version = listed.get(options.schema_version, 1)
    until = _end(period)
    numbers = [number for number in (size, rows) if number is not None]
    if not isinstance(name, str) or not NAME.fullmatch(name) or _format(name) is None:
        _stop(f"{str(name)[:80]!r} is no name of a csv or parquet file", where)
    if not isinstance(url, str) or until is None:
        _stop(f"the entry of {name} has no address or no period", where)
    if not isinstance(sha256, str) or not DIGEST.fullmatch(sha256):
        _stop(f"the entry of {name} has no SHA-256", where)
    if type(version) is not int or version < 1 or any(type(n) is not int or n < 0 for n in numbers):
        _stop(f"the entry of {name} has a size, a row count or a schema version that is no number", where)
    return Entry(name, url, period, until, sha256, size, rows, version)


def _part(pull: Pull, source: RestSource, entry: Entry, most_bytes: int) -> Part:
    """Downloads one file to the spool, checks it, and reads its header and the number of its records."""
    path, where = pull.spool / entry.name, f"{source.base}, {entry.name}"
    source.download(entry.url, path, entry.bytes, most_bytes)
    size = path.stat().st_size
    if entry.bytes is not None and size != entry.bytes:
        _stop(f"the file has {size:,} bytes and not {entry.bytes:,} as its manifest says", where)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            _stop("the file differs from its manifest's SHA-256", where)
    form = _format(entry.name) or ""
    try:
        fields, rows = READERS[form](path)
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        _stop(f"the file cannot be read as {form}: {' '.join(str(error).split())[:200]}", where)
    if entry.rows is not None and rows != entry.rows:
        _stop(f"the file has {rows:,} records and not {entry.rows:,} as its manifest says", where)
    cursor = {"history": {"after": [entry.period, entry.name]}}
    return Part(entry.name, path, form, rows, fields, cursor, entry.schema_version)


def _go_on(document: Any, options: HistoryOptions, last: Entry) -> dict[str, Any]:
    """Where the list goes on after the last file."""
    entries = dotted(document, options.resume)
    for entry in entries if isinstance(entries, list) else ():
        mine = isinstance(entry, dict) and (options.dataset is None or entry.get("dataset") == options.dataset)
        if mine and entry.get(options.after) == last.period and isinstance(entry.get(options.cursor), str):
            return {"next": entry[options.cursor]}
    return {"since": str(last.until)}


def _end(period: Any) -> date | None:
    """The first day after a year, month or day; None where the text is none of these."""
    if not isinstance(period, str) or not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", period, re.ASCII):
        return None
    try:
        first = date.fromisoformat((period + "-01-01")[:10])
    except ValueError:
        return None
    if len(period) == 10:
        return first + timedelta(days=1)
    if len(period) == 7:
        return (first + timedelta(days=32)).replace(day=1)
    return first.replace(year=first.year + 1)


def _format(name: str) -> str | None:
    stem = name.removesuffix(".gz")
    return next((form for form in READERS if stem.endswith(f".{form}")), None)


def _read_csv(path: Path) -> tuple[tuple[str, ...], int]:
    """Header and number of records of delimited text, compressed or not; read in blocks."""
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    reading = pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    with path.open("rb") as head:
        compression = "gzip" if head.read(2) == b"\x1f\x8b" else None
    with pa.input_stream(str(path), compression=compression) as stream:
        names = pa.csv.open_csv(stream, read_options=reading, parse_options=parsing).schema.names
    # Text is left as it is: what a value means is the contract's matter.
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with pa.input_stream(str(path), compression=compression) as stream:
        batches = pa.csv.open_csv(stream, read_options=reading, parse_options=parsing, convert_options=as_text)
        return tuple(names), sum(batch.num_rows for batch in batches)


def _read_parquet(path: Path) -> tuple[tuple[str, ...], int]:
    facts = pa.parquet.read_metadata(path)
    return tuple(facts.schema.to_arrow_schema().names), facts.num_rows


READERS = {"csv": _read_csv, "parquet": _read_parquet}


def _stop(what: str, where: str, remedy: str = "ask those who run the source; nothing of it was kept") -> NoReturn:
    raise SourceError(what, where=where, remedy=remedy)
