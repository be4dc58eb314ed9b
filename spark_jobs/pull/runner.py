"""Runs one feed, or all feeds of a department: fetch, seal, keep, commit with the cursor, note what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

from lakehouse import connections, contracts
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError, SchemaChanged, SourceError, SourceUnavailable, VinelakeError
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition, utc_now
from spark_jobs.landing import Batch
from spark_jobs.pull import breaker, ledger, schema_change, sealing
from spark_jobs.pull.draft import Draft, open_draft
from spark_jobs.pull.part import Connector, Pull

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


def pull_department(partition: str, task: str) -> dict[str, Any]:
    """Pulls every feed of a department (`Feed.task`) up to a date; raises the first failure after all were tried.

    Returns the new batches. A feed that fails keeps neither the others from being pulled nor its own earlier parts
    from being used on the next try.
    """
    feeds = departments().get(task)
    if not feeds:
        raise ConfigError(f"no department {task!r}", remedy=f"one of {', '.join(departments())}")
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
    first = outcome.batches[-1] if outcome.batches else None
    ledger.record(
        ledger.Attempt(
            contract=contract.id,
            partition=partition,
            outcome=outcome.outcome,
            attempted_at=at,
            seconds=round(time.monotonic() - begun, 3),
            records=outcome.records,
            batch_id=first,
            fields=outcome.fields,
            error=str(outcome.error) if outcome.error else None,
        )
    )
    return outcome


def _guarded(contract: Contract, until: date) -> Outcome:
    try:
        with breaker.guard(contract.feed.task):
            return _pull(contract, until)
    except breaker.Open as error:
        return Outcome(contract.id, ledger.HELD_OFF, 0, (), error=error.reason)
    except SchemaChanged as error:
        return Outcome(contract.id, ledger.SCHEMA_CHANGED, 0, (), error=error)
    except SourceUnavailable as error:
        return Outcome(contract.id, ledger.UNREACHABLE, 0, (), error=error)
    except SourceError as error:
        return Outcome(contract.id, ledger.REFUSED, 0, (), error=error)


def _pull(contract: Contract, until: date) -> Outcome:
    draft, earlier = open_draft(contract, until)
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
        fields = _receive(draft, pulled)
    except SchemaChanged:
        draft.commit()  # what came before the change is whole
        raise
    records, batch = draft.records, draft.commit()
    batches = [b for b in (earlier, batch) if isinstance(b, Batch)]
    word = ledger.LANDED if batches else ledger.NOTHING
    return Outcome(contract.id, word, records, tuple(b.batch_id for b in batches), fields)


def _receive(draft: Draft, pulled: Pull) -> tuple[str, ...]:
    """Takes every part in; returns the fields in which they differ from the contract."""
    differing: dict[str, None] = {}
    with sealing.sealer(pulled.contract) as seal:
        for part in connector(pulled.contract.feed.protocol).fetch(pulled):
            found = schema_change.differences(pulled.contract, part.fields, part.schema_version)
            schema_change.apply_policy(pulled.contract, found, f"{pulled.contract.id}, {part.name}")
            differing.update(dict.fromkeys(found))
            sealed = seal(part)
            draft.add(sealed.part, sealed.received_sha256)
    return tuple(differing)


def dry(contract: Contract, until: date, spool: Any, most_parts: int = 1) -> Iterable[Any]:
    """The first parts of a feed from its beginning, kept nowhere; for trying a contract out."""
    pulled = Pull(
        contract, connections.connection(contract.feed.connection), until, None, spool, 0, contract.feed.options
    )
    for number, part in enumerate(connector(contract.feed.protocol).fetch(pulled)):
        if number >= most_parts:
            return
        yield part
