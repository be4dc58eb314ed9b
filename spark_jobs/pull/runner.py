"""Runs one feed, or all feeds of a department: fetch, seal, keep, commit with the cursor, note what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from lakehouse import connections, contracts, families
from lakehouse.contracts import Contract
from lakehouse.errors import (
    ConfigError,
    SchemaChanged,
    SourceError,
    SourceRepeats,
    SourceUnavailable,
    VinelakeError,
)
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from spark_jobs import landing
from spark_jobs.landing import Batch
from spark_jobs.pull import breaker, ledger, schema_change, sealing
from spark_jobs.pull.draft import Draft, alone, open_draft, open_since
from spark_jobs.pull.part import Connector, Part, Pull

MODULES = {
    "rest": "spark_jobs.pull.rest",
    "enquiry": "spark_jobs.pull.enquiry",
    "jdbc": "spark_jobs.pull.jdbc",
    "stream": "spark_jobs.pull.stream",
    "files": "spark_jobs.pull.files",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one feed's pull; `error` is None unless it failed."""

    contract: str
    outcome: str
    records: int
    batches: tuple[str, ...]
    fields: tuple[str, ...] = ()
    error: VinelakeError | None = None
    bytes: int = 0
    schema_version: int = 1


def pull_department(partition: str, task: str) -> dict[str, Any]:
    """Pulls every feed of a department (`Feed.task`) up to a date; raises the first failure after all were tried.

    Returns the new batches. A feed that fails keeps neither the others from being pulled nor its own earlier parts
    from being used on the next try.
    """
    folder = get_settings().contracts_dir
    known = families.outlines(folder)
    # Only the department's own contracts are read in full: each task is a process of its own.
    feeds = [contracts.load(folder / f"{o.contract}.yaml") for o in known if o.feed.task == task]
    if not feeds:
        raise ConfigError(f"no department {task!r}", remedy=f"one of {', '.join(sorted({o.feed.task for o in known}))}")
    outcomes = [pull(partition, contract) for contract in feeds]
    if failed := [o.error for o in outcomes if o.error]:
        raise failed[0]
    return {
        "new_batches": [b for o in outcomes for b in o.batches],
        "records": {o.contract: o.records for o in outcomes},
        "fields": {o.contract: list(o.fields) for o in outcomes if o.fields},
    }


def departments() -> dict[str, list[Contract]]:
    """Every department that is pulled, by `Feed.task`, with its contracts in order of id."""
    found: dict[str, list[Contract]] = {}
    for contract in contracts.load_all(get_settings().contracts_dir).values():
        if contract.feed:
            found.setdefault(contract.feed.task, []).append(contract)
    return dict(sorted(found.items()))


def chosen(names: Iterable[str]) -> list[Contract]:
    """The feeds that names mean, each the name of a department (`Feed.task`) or a contract's id; all where none is."""
    known = departments()
    feeds = {contract.id: [contract] for feeds in known.values() for contract in feeds}
    found: dict[str, Contract] = {}
    for name in names or known:
        if name not in known | feeds:
            raise ConfigError(f"no department or feed {name!r}", remedy=f"one of {', '.join(known | feeds)}")
        found.update({contract.id: contract for contract in (known.get(name) or feeds[name])})
    return list(found.values())


def connector(protocol: str) -> Connector:
    """The connector of a protocol; its module is imported when it is first needed."""
    return import_module(MODULES[protocol]).CONNECTOR


def pull(partition: str, contract: Contract) -> Outcome:
    """One attempt on one feed, noted in the ledger of pulls whatever comes of it.

    Errors of the source are returned; anything else (a fault of ours, a kill) is raised and leaves the draft to go on
    with.
    """
    feed = contract.feed
    if feed is None:
        raise ConfigError(
            f"contract {contract.id} has no feed: it claims files of a drop", remedy="use `vinelake ingest`"
        )
    until, begun, at = parse_partition(partition), time.monotonic(), utc_now().isoformat()
    outcome = _guarded(contract, until)
    ledger.record(
        ledger.Attempt(
            contract=contract.id,
            partition=partition,
            outcome=outcome.outcome,
            attempted_at=at,
            seconds=round(time.monotonic() - begun, 3),
            records=outcome.records,
            bytes=outcome.bytes,
            batch_id=outcome.batches[-1] if outcome.batches else None,
            schema_version=outcome.schema_version,
            fields=outcome.fields,
            error=str(outcome.error) if outcome.error else None,
        )
    )
    return outcome


def _guarded(contract: Contract, until: date) -> Outcome:
    landed: list[Batch] = []
    fields: dict[str, None] = {}
    word, failure = ledger.NOTHING, None
    try:
        with breaker.guard(contract.feed.task):
            _pull(contract, until, landed, fields)
    except breaker.Open as error:
        word, failure = ledger.HELD_OFF, error.reason
    except SourceError as error:
        word, failure = _word(error), error
    if landed and failure is None:
        word = ledger.LANDED
    files = [file for batch in landed for file in batch.files]
    return Outcome(
        contract=contract.id,
        outcome=word,
        records=sum(file.data_lines for file in files),
        batches=tuple(batch.batch_id for batch in landed),
        fields=tuple(fields),
        error=failure,
        bytes=sum(file.bytes for file in files),
        schema_version=max((file.schema_version for file in files), default=1),
    )


def _word(error: SourceError) -> str:
    if isinstance(error, SchemaChanged):
        return ledger.SCHEMA_CHANGED
    return ledger.UNREACHABLE if isinstance(error, SourceUnavailable) else ledger.REFUSED


def _pull(contract: Contract, until: date, landed: list[Batch], fields: dict[str, None]) -> None:
    """Takes in what is new: adds the new batches to `landed`, and to `fields` those that differ from the contract."""
    with alone(contract):
        if _is_past(contract, until):
            return
        draft, earlier = open_draft(contract, until)
        landed += [earlier] if earlier else []
        pulled = Pull(
            contract=contract,
            connection=connections.connection(contract.feed.connection),
            until=until,
            cursor=draft.cursor,
            spool=draft.spool,
            number=len(draft.files),
            options=contract.feed.options,
        )
        try:
            _receive(draft, pulled, fields)
        except SourceRepeats:
            draft.discard()
            raise
        except SourceError as error:
            # What came before a change of schema is whole; an answer that was paid for is whole by itself.
            if isinstance(error, SchemaChanged) or getattr(connector(contract.feed.protocol), "is_whole", False):
                landed += [batch] if (batch := draft.commit()) else []
            raise
        landed += [batch] if (batch := draft.commit()) else []


def _is_past(contract: Contract, until: date) -> bool:
    """Whether a later date was pulled already: then all before `until` is in, and what came since is known later."""
    last = landing.last_batch(contract.id)
    reached = (last.received_on if last else None, open_since(contract), ledger.last_success(contract.id))
    return any(day > until for day in reached if day)


def _receive(draft: Draft, pulled: Pull, differing: dict[str, None]) -> None:
    """Takes every part in; notes the fields in which they differ from the contract."""
    with sealing.sealer(pulled.contract) as seal:
        for part in connector(pulled.contract.feed.protocol).fetch(pulled):
            found = schema_change.differences(pulled.contract, part.fields, part.schema_version, part.format)
            differing.update(dict.fromkeys(found))
            schema_change.apply_policy(pulled.contract, found, f"{pulled.contract.id}, {part.name}")
            sealed = seal(part)
            draft.add(sealed.part, sealed.received_sha256)


def dry(contract: Contract, until: date, spool: Path, most_parts: int = 1) -> Iterator[Part]:
    """The first parts of a feed from its beginning, kept nowhere; for trying a contract out."""
    pulled = Pull(
        contract, connections.connection(contract.feed.connection), until, None, spool, 0, contract.feed.options
    )
    yield from islice(connector(contract.feed.protocol).fetch(pulled), most_parts)
