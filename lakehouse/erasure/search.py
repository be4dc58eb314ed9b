"""Looks for values in every file of a lakehouse, also where they are compressed, in old versions, or sealed.

Read are: the bytes of every file; what gzip, zip and zstd files decompress to; every value of Parquet files (data of
all table versions that are still on the disk, checkpoints of Delta logs, frozen samples); every cell of SQLite
databases. Values that PostgreSQL compressed within its pages (from two kilobytes on) are not seen.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import sqlite3
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag

from lakehouse.erasure import needles
from lakehouse.erasure.needles import Needles
from lakehouse.errors import VinelakeError
from lakehouse.vault import Vault, cipher, forms

BLOCK = 1 << 24
OVERLAP = 4096  # no form of a value is longer
DEPTH = 3


@dataclass(frozen=True)
class Finding:
    """A place where a value stands: the file, the part of it that was read, and how the value is written there."""

    path: Path
    part: str
    form: str


@dataclass
class Search:
    """One search: what was found, how many files and bytes were read, and files that could not be."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


def look(folders: Iterable[Path], sought: Needles) -> Search:
    """Looks for needles in every file below the folders; a file that vanishes meanwhile is passed over."""
    search = Search()
    for path in _files(folders):
        try:
            search.bytes += path.stat().st_size
            for part, content in contents(path):
                search.findings += [Finding(path, part, form) for form in sorted(sought.found_in(content))]
            search.files += 1
        except FileNotFoundError:
            continue
        except OSError:
            search.unread.append(path)
    search.findings = list(dict.fromkeys(search.findings))
    return search


def look_for_values(folders: Iterable[Path], values: Collection[str], vault: Vault) -> Search:
    """`look` for clear values in all their forms, then in what is sealed, with every key that the vault has left."""
    folders, sought = list(folders), needles.of(values)
    if sought is None:
        raise VinelakeError(
            "nothing that can be searched for was given", remedy="values of six bytes or more, one a line"
        )
    search = look(folders, sought)
    search.findings += _opened(_sealed(folders), set(values), vault)
    return search


def contents(path: Path) -> Iterator[tuple[str, bytes | memoryview]]:
    """(part, bytes) of everything a file holds: as it is, and as it decompresses."""
    with path.open("rb") as stream:
        yield from _parts(stream, "", DEPTH)
        stream.seek(0)
        head = stream.read(16)
    if head[:4] == b"PAR1":
        yield from _parquet(path)
    elif head[:4] == b"\x28\xb5\x2f\xfd":
        yield from _zstd(path)
    elif head == b"SQLite format 3\x00":
        yield from _sqlite(path)


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        below = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        yield from (p for p in below if p.is_file() and not p.is_symlink())


def _parts(stream: IO[bytes], part: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """Blocks of a stream, which overlap, and of what it decompresses to."""
    yield from ((part or "bytes", block) for block in _blocks(stream))
    with contextlib.suppress(OSError, ValueError):
        stream.seek(0)
        head = stream.read(4)
        stream.seek(0)
        if depth and head[:2] == b"\x1f\x8b":
            with contextlib.suppress(EOFError, zlib.error), gzip.open(stream) as inner:
                yield from _parts(inner, f"{part}gzip", depth - 1)
        elif depth and head == b"PK\x03\x04":
            with contextlib.suppress(zipfile.BadZipFile, RuntimeError), zipfile.ZipFile(stream) as archive:
                for name in archive.namelist():
                    yield "zip names", name.encode()
                    with archive.open(name) as member:
                        yield from _parts(member, f"{part}zip:{name} ", depth - 1)


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    tail = b""
    while block := stream.read(BLOCK):
        yield tail + block
        tail = block[-OVERLAP:]


def _parquet(path: Path) -> Iterator[tuple[str, memoryview]]:
    """The values of every column, as they lie in memory: texts one after the other, whatever they are nested in."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    yield from ((f"column {name}", memoryview(buffer)) for buffer in column.buffers() if buffer)
                    if isinstance(column, pa.DictionaryArray):
                        texts = column.dictionary.buffers()
                        yield from ((f"column {name}", memoryview(buffer)) for buffer in texts if buffer)
    except pa.ArrowInvalid as error:
        raise OSError(f"not readable as Parquet: {error}") from error


def _zstd(path: Path) -> Iterator[tuple[str, bytes]]:
    import pyarrow as pa

    with pa.input_stream(str(path), compression="zstd") as stream:
        yield from (("zstd", block) for block in _blocks(stream))


def _sqlite(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every cell: a long one is spread over pages, so the file's bytes do not show it whole."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db,
    ):
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                yield f"table {table}", b"\x1f".join(_cell(cell) for cell in row)


def _cell(cell: Any) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogatepass")


def _sealed(folders: Iterable[Path]) -> dict[tuple[str, str, str], Path]:
    """Every distinct sealed value below the folders, as (token, subject, ciphertext), and a file it stands in."""
    found: dict[tuple[str, str, str], Path] = {}
    for path in _files(folders):
        with contextlib.suppress(OSError):
            for _, content in contents(path):
                for match in forms.SEALED_BYTES.finditer(content):
                    found.setdefault(tuple(group.decode() for group in match.groups()), path)
    return found


def _opened(sealed: dict[tuple[str, str, str], Path], values: set[str], vault: Vault) -> list[Finding]:
    """Sealed values that can still be opened and say one of `values`.

    Every value is tried with its own subject's key; those of destroyed keys with each key that is left.
    """
    keys, found = {person.id: person for person in vault.persons()}, []
    for (token, subject, body), path in sealed.items():
        kind = token.split("_", 1)[1].rpartition("_")[0]
        wanted = {forms.normalise(kind, value) for value in values}
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        for person in [keys[subject]] if subject in keys else keys.values():
            with contextlib.suppress(InvalidTag, ValueError):
                clear = cipher.decrypt(person._replace(id=subject), kind, raw)
                if forms.normalise(kind, clear) in wanted or any(value in clear for value in values):
                    found.append(Finding(path, "sealed value", f"opened with the key of {person.id[:8]}"))
    return found
