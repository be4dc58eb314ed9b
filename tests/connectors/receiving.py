"""Pulls of a feed without landing: what a connector gives, with the cursor carried from one pull to the next."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse.connections import Connection
from lakehouse.contracts import Contract
from spark_jobs.pull.part import Part, Pull


class Received:
    """The parts of pulls one after another, taken as landing takes them: each body read before the next is asked for.

    `stop_after` ends a pull after so many parts, as a kill does; the next one goes on from the last cursor.
    """

    def __init__(self, connector: Any, contract: Contract, settings: Mapping[str, Any], spool: Path) -> None:
        self.connector, self.contract, self.spool = connector, contract, spool
        self.connection = Connection(contract.feed.connection, settings)
        self.cursor: Mapping[str, Any] | None = None
        self.parts: list[Part] = []
        self.bodies: list[bytes] = []

    def pull(self, until: date, stop_after: int | None = None, **options: Any) -> list[Part]:
        """Pulls up to a date and returns the new parts."""
        number = len(self.parts)
        self.spool.mkdir(parents=True, exist_ok=True)
        pull = Pull(
            contract=self.contract,
            connection=self.connection,
            until=until,
            cursor=self.cursor,
            spool=self.spool,
            number=number,
            options={**self.contract.feed.options, **options},
        )
        taking = self.connector.fetch(pull)
        for part in taking:
            self.bodies.append(part.body if isinstance(part.body, bytes) else part.body.read_bytes())
            self.parts.append(part)
            self.cursor = json.loads(json.dumps(part.cursor))  # as a manifest keeps it
            if isinstance(part.body, Path):
                part.body.unlink()
            if stop_after is not None and len(self.parts) - number == stop_after:
                taking.close()
                break
        assert not list(self.spool.iterdir()), "a pull leaves nothing in the spool"
        return self.parts[number:]

    def rows(self) -> list[dict[str, Any]]:
        """Every record of parts of JSON lines, in order."""
        found = []
        for part, body in zip(self.parts, self.bodies, strict=True):
            if part.format == "jsonl":
                plain = gzip.decompress(body) if part.name.endswith(".gz") else body
                lines = [json.loads(line) for line in plain.decode("utf-8").split("\n") if line]
                assert len(lines) == part.records
                found += lines
        return found
