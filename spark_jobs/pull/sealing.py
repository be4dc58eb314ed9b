"""Personal fields are sealed before a part is kept: from here on, nobody reads them without the vault.

Sealing is the same in every run, so a part that is fetched again is kept with the same bytes. What opens a sealed
value is in the vault, on the disk, before the part is.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError, SourceError
from lakehouse.vault import Vault, open_vault
from spark_jobs.pull import sealing_csv, sealing_json, sealing_parquet
from spark_jobs.pull.part import FORMATS, Part
from spark_jobs.pull.sealing_plan import plan

GZIP_LEVEL = 4


@dataclass(frozen=True)
class Sealed:
    """A part as it is kept, and the digest of the bytes as received where they differ from those."""

    part: Part
    received_sha256: str | None = None


@contextlib.contextmanager
def sealer(contract: Contract) -> Iterator[Callable[[Part], Sealed]]:
    """What seals the parts of one feed; passes them through where the contract classes nothing as personal.

    A part in a file is replaced by a sealed file beside it, and removed; its memory does not grow with the file, except
    for one JSON document. Raises SourceError where a part cannot be read, VaultError where the vault cannot be opened.
    """
    if not contract.personal_columns:
        yield Sealed
        return
    with open_vault() as vault:
        yield lambda part: _seal(contract, part, vault)


def _seal(contract: Contract, part: Part, vault: Vault) -> Sealed:
    where = f"{contract.id}, {part.name}"
    if part.format not in FORMATS:
        raise ConfigError(f"parts of format {part.format!r} cannot be sealed", where=where)
    try:
        if isinstance(part.body, bytes):
            target = io.BytesIO()
            _convert(contract, part, io.BytesIO(part.body), target, vault, where)
            return Sealed(replace(part, body=target.getvalue()), hashlib.sha256(part.body).hexdigest())
        path = part.body.with_name(part.body.name + ".sealed")
        with part.body.open("rb") as source, path.open("wb") as file:
            received = hashlib.file_digest(source, "sha256").hexdigest()
            source.seek(0)
            _convert(contract, part, source, file, vault, where)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(
            f"not a sound gzip file: {error}",
            where=where,
            remedy="nothing of it was kept; ask the sender to send it again",
        ) from error
    Path(part.body).unlink()
    return Sealed(replace(part, body=path), received)


def _convert(contract: Contract, part: Part, source: BinaryIO, target: BinaryIO, vault: Vault, where: str) -> None:
    rules, seal = plan(contract, part.schema_version), vault.seal
    options = contract.feed.options if contract.feed else {}
    if part.format == "parquet":
        sealing_parquet.seal_table(source, target, rules, seal, where)
        return
    with _plain(part.name, source, "rb") as plain, _plain(part.name, target, "wb") as sealed:
        if part.format == "json":
            path = str(options.get("records") or "")
            sealed.write(sealing_json.seal_document(plain.read(), path, rules, seal, where))
        elif part.format == "jsonl":
            sealing_json.seal_lines(plain, sealed, rules, seal)
        else:
            texts = [
                io.TextIOWrapper(stream, contract.encoding, "surrogateescape", newline="\n")
                for stream in (plain, sealed)
            ]
            sealing_csv.seal_rows(*texts, str(options.get("delimiter", ",")), rules, seal, where)
            texts[1].flush()
            for text in texts:
                text.detach()


@contextlib.contextmanager
def _plain(name: str, stream: BinaryIO, mode: str) -> Iterator[BinaryIO]:
    """The stream, through gzip where the name says so; packed without a time, so that a repeat gives the same bytes."""
    if not name.endswith(".gz"):
        yield stream
        return
    with gzip.GzipFile("", mode, GZIP_LEVEL, stream, mtime=0) as packed:
        yield packed
