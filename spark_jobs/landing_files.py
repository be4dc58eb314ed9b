"""Reads a received file once, as bytes: digests, line count, header and encoding, before anything trusts it."""

from __future__ import annotations

import codecs
import csv
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.contracts import Contract
from lakehouse.errors import LandingError

BLOCK_BYTES = 1 << 20
# What Spark's reader takes for an empty line: nothing but characters up to the space.
BLANK = "".join(map(chr, range(33)))


@dataclass(frozen=True)
class ReceivedFile:
    """What one pass over a file found.

    `block_sha256` holds one digest per mebibyte of the bytes as kept, so that a changed byte can be located later;
    `data_lines` counts records (lines that hold anything, without the header, in text). `header` names the fields.
    Where personal fields were sealed, `received_sha256` is the digest of the bytes as received, which are not kept.
    """

    name: str
    bytes: int
    sha256: str
    block_sha256: tuple[str, ...]
    header: tuple[str, ...]
    data_lines: int
    format: str = "csv"
    schema_version: int = 1
    received_sha256: str | None = None


def digests(path: Path) -> tuple[int, str, tuple[str, ...]]:
    """A file's size, its SHA-256, and that of each of its mebibytes."""
    whole, blocks, size = hashlib.sha256(), [], 0
    with path.open("rb") as stream:
        while raw := stream.read(BLOCK_BYTES):
            whole.update(raw)
            blocks.append(hashlib.sha256(raw).hexdigest())
            size += len(raw)
    return size, whole.hexdigest(), tuple(blocks)


def inspect(path: Path, contract: Contract) -> ReceivedFile:
    """Checks a file against its contract as far as bytes and header go; raises a LandingError that says why."""
    whole, blocks = hashlib.sha256(), []
    decoder = codecs.getincrementaldecoder(contract.encoding)()
    lines, data_lines, size, head, rest = 0, 0, 0, "", ""
    for raw, plain in _blocks(path):
        if raw:
            whole.update(raw)
            blocks.append(hashlib.sha256(raw).hexdigest())
            size += len(raw)
        try:
            text = decoder.decode(plain)
        except UnicodeDecodeError as error:
            raise _wrong_encoding(path, contract, lines, error) from error
        if "\x00" in text:
            raise LandingError(
                "the file has NUL bytes; it is not text",
                where=f"{path.name}, about line {lines + 1}",
                remedy="ask the sender for a text file",
            )
        if len(head) < 65536:
            head += text
        complete = (rest + text).split("\n")
        rest = complete.pop()
        lines += len(complete)
        data_lines += sum(1 for line in complete if line.strip(BLANK))
    data_lines += 1 if rest.strip(BLANK) else 0
    if data_lines == 0:
        raise LandingError("the file is empty", where=path.name, remedy="ask the sender to send it again")
    header = _header(head)
    _check_header(path, contract, header)
    return ReceivedFile(path.name, size, whole.hexdigest(), tuple(blocks), header, data_lines - 1)


def _blocks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(bytes as received, the same decompressed), a mebibyte of received bytes at a time."""
    unzip = zlib.decompressobj(wbits=31) if path.suffix == ".gz" else None
    with path.open("rb") as stream:
        while raw := stream.read(BLOCK_BYTES):
            yield raw, _inflate(path, unzip, raw) if unzip else raw
    if unzip and not unzip.eof:
        raise LandingError(
            "the gzip stream ends before its end mark: the file is truncated",
            where=f"{path.name}, {path.stat().st_size:,} bytes",
            remedy="ask the sender to send it again; nothing of this drop was taken in",
        )


def _inflate(path: Path, unzip: zlib._Decompress, raw: bytes) -> bytes:
    ended = unzip.eof
    try:
        plain = b"" if ended else unzip.decompress(raw)
    except zlib.error as error:
        raise LandingError(
            f"not a sound gzip file: {error}",
            where=path.name,
            remedy="ask the sender to send it again; nothing of this drop was taken in",
        ) from error
    if ended or unzip.unused_data:
        raise LandingError(
            "bytes follow the end of the gzip stream",
            where=path.name,
            remedy="ask the sender for one gzip stream per file",
        )
    return plain


def _wrong_encoding(path: Path, contract: Contract, lines: int, error: UnicodeDecodeError) -> LandingError:
    guess, end = "", error.object.find(b"\n", error.start)
    bad_line = error.object[error.object.rfind(b"\n", 0, error.start) + 1 : end if end >= 0 else None]
    for candidate in ("gb18030", "utf-16"):
        try:
            codecs.getincrementaldecoder(candidate)().decode(bad_line)
        except UnicodeDecodeError:
            continue
        guess = f"; it reads as {candidate}"
        break
    line = lines + 1 + error.object[: error.start].count(b"\n")
    return LandingError(
        f"the file is not {contract.encoding}: byte 0x{error.object[error.start]:02x} cannot stand there{guess}",
        where=f"{path.name}, near line {line}",
        remedy=f"convert the file, or set `encoding` in contracts/{contract.id}.yaml if the feed changed",
    )


def _header(head: str) -> tuple[str, ...]:
    first = head.lstrip("\ufeff").split("\n")[0].rstrip("\r")
    return tuple(cell.strip() for cell in next(csv.reader([first]), ()))


def _check_header(path: Path, contract: Contract, header: tuple[str, ...]) -> None:
    expected = [c.source_name for c in contract.columns]
    missing = [name for name in expected if name not in header]
    extra = [name for name in header if name not in expected]
    twice = sorted({name for name in header if header.count(name) > 1})
    faults = []
    if missing:
        faults.append(f"column {', '.join(missing)} is missing")
    if extra and contract.unknown_columns == "refuse":
        faults.append(f"column {', '.join(extra)} is not in the contract")
    if twice:
        faults.append(f"column {', '.join(twice)} stands twice")
    if faults:
        raise LandingError(
            "the header does not fit the contract: " + "; ".join(faults),
            where=f"{path.name}, line 1: {','.join(header)[:200]}",
            remedy=f"ask the sender for {','.join(expected)}, or version contracts/{contract.id}.yaml "
            "if the feed changed",
        )
