"""Parts of files: byte for byte with what they hold counted, or many files of one record each as lines of one part."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import pyarrow
import pyarrow.parquet

from lakehouse.errors import SourceError, SourceUnavailable
from spark_jobs.landing_files import BLANK
from spark_jobs.pull import files_form
from spark_jobs.pull.files_listing import Found
from spark_jobs.pull.lines import JsonLines, joined, json_object, plain
from spark_jobs.pull.part import Part, Pull

TABLES = {".csv": "csv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}
OWN = ("_file", "_day", "_bytes", "_sha256")
RAW = "_raw"
BLOCK_BYTES = 1 << 20
RECORD_BYTES = 64 << 20  # a document that is read as a whole is no larger


def is_document(found: Found) -> bool:
    """Whether a file is kept as it is, without being read as records."""
    return found.suffix not in TABLES


def is_single(found: Found, options: Mapping[str, Any]) -> bool:
    """Whether a file is one record."""
    return (
        is_document(found)
        or (found.suffix == ".json" and "records" not in options)
        or (found.suffix == ".csv" and options.get("layout") == "pairs")
    )


def bundle(pull: Pull, name: str, group: Iterable[Found], cursor: Mapping[str, Any]) -> Part:
    """One part of many files: a line each, in their order."""
    lines, fields, is_sound = JsonLines(pull.spool / name), {}, False
    asked, labels = {c.source_name for c in pull.contract.columns}, files_form.labels_of(pull.options)
    try:
        for found in group:
            line, members = _record(pull, found, labels)
            lines.add(line)
            fields |= dict.fromkeys(members or ())
            is_sound |= members is not None
    except BaseException:
        lines.discard()
        raise
    ours = tuple(name for name in OWN if name in asked and is_sound)
    return Part(name, lines.close(), "jsonl", lines.records, (*fields, *ours), cursor)


def original(pull: Pull, found: Found, cursor: Mapping[str, Any]) -> Part:
    """A file as it came; of a table, its records and fields are counted."""
    target = pull.spool / found.part_name
    with target.open("wb") as copy:
        _read(found, copy.write)
    form = TABLES.get(found.suffix, "binary")
    look = {"csv": _csv, "jsonl": _jsonl, "json": _json, "parquet": _parquet}.get(form)
    records, fields = _looked(found, look, target, pull) if look else (0, ())
    return Part(target.name, target, form, records, tuple(fields), cursor)


def _record(pull: Pull, found: Found, labels: Mapping[str, str]) -> tuple[bytes, Iterable[str] | None]:
    """A file's line, and the fields that it was sent with; what is no record stands as `_raw` (fields None)."""
    if is_document(found) and not (labels and found.suffix == files_form.SUFFIX):
        return plain(_own(found, _read(found, len))), ()
    if found.size > RECORD_BYTES:
        raise _refused(found, f"it has {found.size:,} bytes, too many for one record")
    content = io.BytesIO()
    digest = _read(found, content.write)
    if is_document(found):
        return _form(_own(found, digest), content.getvalue(), labels)
    try:
        with gzip.open(content) if found.name.lower().endswith(".gz") else content as stream:
            stream.seek(0)
            text = stream.read(RECORD_BYTES + 1).decode(pull.contract.encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise _refused(found, f"it is no sound gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise _refused(found, f"it is not {pull.contract.encoding}: {error}") from error
    ours, text = _own(found, digest), text.removeprefix("\ufeff")
    sent = _pairs(text) if found.suffix == ".csv" else json_object(text.encode("utf-8"), (*OWN, RAW))
    return (joined(ours, sent), sent[1]) if sent else (plain(ours | {RAW: text}), None)


def _form(ours: dict[str, Any], content: bytes, labels: Mapping[str, str]) -> tuple[bytes, Iterable[str] | None]:
    """A document's line with the fields that it tells; one that tells none is no record."""
    told = files_form.read(content, labels)
    if told is None:
        return plain(ours | {RAW: "the document tells none of its labels, or two things under one"}), None
    return plain(ours | told), told


def _own(found: Found, digest: str) -> dict[str, Any]:
    return {"_file": found.name, "_day": found.day, "_bytes": found.size, "_sha256": digest}


def _pairs(text: str) -> tuple[str, dict[str, Any]] | None:
    """A table of items and values as one object; None where it is not one."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row][1:]
    except csv.Error:
        return None
    members = {row[0].strip(): row[1] for row in rows if len(row) == 2}
    if not members or len(members) < len(rows) or any(name in members for name in (*OWN, RAW)):
        return None
    return plain(members).decode("utf-8"), members


def _read(found: Found, take: Callable[[bytes], Any]) -> str:
    """Reads a file once and returns its SHA-256; raises where it is not what was stated or listed."""
    digest, size = hashlib.sha256(), 0
    try:
        with found.path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                take(block)
        changed = found.path.stat().st_mtime_ns
    except OSError as error:
        raise SourceUnavailable(f"{found.name} cannot be read: {error}", where=str(found.path)) from error
    if found.sha256 is not None and (size, digest.hexdigest()) != (found.size, found.sha256):
        raise _refused(found, f"it has {size:,} bytes and SHA-256 {digest.hexdigest()}, its day's list says otherwise")
    if found.sha256 is None and (size, changed) != (found.size, found.changed):
        raise SourceUnavailable(
            f"{found.name} changed while it was read",
            where=str(found.path),
            remedy="it is read once it lies still; see settledSeconds in the feed's options",
        )
    return digest.hexdigest()


def _looked(found: Found, look: Any, target: Path, pull: Pull) -> tuple[int, Iterable[str]]:
    """How many records a table has, and its fields."""
    try:
        return look(target, pull)
    except UnicodeDecodeError as error:
        raise _refused(found, f"it is not {pull.contract.encoding}: {error}") from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(found, str(error) or type(error).__name__) from error
    except (csv.Error, pyarrow.ArrowException) as error:
        raise _refused(found, str(error)) from error


def _opened(path: Path, encoding: str) -> TextIO:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    return opener(path, "rt", encoding=encoding, newline="\n")


def _csv(path: Path, pull: Pull) -> tuple[int, Iterable[str]]:
    records, header = -1, []
    with _opened(path, pull.contract.encoding) as stream:
        for line in stream:
            if "\x00" in line:
                raise ValueError("it has NUL bytes: it is no text")
            if not line.strip(BLANK):
                continue
            if records < 0:
                header = [cell.strip() for cell in next(csv.reader([line.lstrip("\ufeff").rstrip("\r\n")]))]
            records += 1
    if records < 0:
        raise ValueError("it is empty, without even a header")
    if len(set(header)) < len(header):
        raise ValueError(f"a column stands twice: {', '.join(header)}")
    return records, header


def _jsonl(path: Path, pull: Pull) -> tuple[int, Iterable[str]]:
    records, fields = 0, {}
    with _opened(path, "utf-8") as stream:
        for line in stream:
            if line.strip(BLANK):
                records += 1
                # A line that is no object is bronze's to quarantine.
                fields |= dict.fromkeys((json_object(line.encode("utf-8"), ()) or ("", {}))[1])
    return records, fields


def _json(path: Path, pull: Pull) -> tuple[int, Iterable[str]]:
    if path.stat().st_size > RECORD_BYTES:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, too many for one document")
    with _opened(path, "utf-8") as stream:
        found = json.load(stream)
    for step in str(pull.options["records"]).split("."):
        found = found[step]
    if not isinstance(found, list):
        raise ValueError(f"{pull.options['records']} is no list of records")
    fields: dict[str, None] = {}
    for record in found:
        fields |= dict.fromkeys(record) if isinstance(record, dict) else {}
    return len(found), fields


def _parquet(path: Path, pull: Pull) -> tuple[int, Iterable[str]]:
    facts = pyarrow.parquet.read_metadata(path)
    return facts.num_rows, facts.schema.to_arrow_schema().names


def _refused(found: Found, what: str) -> SourceError:
    return SourceError(
        f"{found.name} is refused: {what}",
        where=str(found.path),
        remedy="ask the sender for the file again; nothing of it was taken in, and the feed waits at it",
    )
