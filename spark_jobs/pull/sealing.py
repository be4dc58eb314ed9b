"""Personal fields are sealed before a part is kept: from here on, nobody reads them without the vault."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from spark_jobs.pull.part import Part


@dataclass(frozen=True)
class Sealed:
    """A part as it is kept, and the digest of the bytes as received where they differ from those."""

    part: Part
    received_sha256: str | None = None


@contextlib.contextmanager
def sealer(contract: Contract) -> Iterator[Callable[[Part], Sealed]]:
    """What seals the parts of one feed; passes them through where the contract classes nothing as personal."""
    if contract.personal_columns:
        raise ConfigError(f"contract {contract.id} has personal columns, and there is no vault")
    yield Sealed
