"""Which batches of bronze are held back: each waiting batch is compared with the published ones of its feed.

A feed's batches pass in the order in which they came, since each is judged by those before it. One that breaks a
blocking rule keeps itself and the later ones of its feed from readers until a person waives the rule or rejects the
batch; other feeds do not wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from expectations import history, profiles
from expectations.growth import QUARANTINE, Account
from expectations.history import Profile, Stray
from expectations.report import Finding
from lakehouse import contracts, control, engine, ledger, waivers
from lakehouse.contracts import Contract
from lakehouse.settings import get_settings
from lakehouse.tables import at_version, published_batches, split
from lakehouse.waivers import Waiver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Judgement:
    """What came of the waiting batches: findings, profiles of those that pass, ids of those held, and of those of them
    that break a rule themselves."""

    findings: Sequence[Finding]
    passing: Sequence[Profile]
    held: Sequence[str]
    broken: Sequence[str]


def judge(
    spark: SparkSession, changed: Mapping[str, int], waiting: Sequence[Account], granted: Sequence[Waiver]
) -> Judgement:
    """Judges every waiting batch of the changed tables of bronze by the published batches of its feed."""
    if not waiting:
        return Judgement((), (), (), ())
    known = contracts.load_all(get_settings().contracts_dir)
    feeds = [known[split(table)[1]] for table in changed if table != QUARANTINE]
    if not feeds:
        return Judgement((), (), (), ())
    booked, released, ids = ledger.booked(), _released(), {account["batch_id"] for account in waiting}
    arrivals = {contract.id: profiles.arrivals(contract, booked, ids, released) for contract in feeds}
    first_day = min(arrival.received_on for arrived in arrivals.values() for arrival in arrived)
    since = first_day - timedelta(days=profiles.DAYS_COMPARED)
    earlier = profiles.stored(list(arrivals), since, published_batches(spark))

    def judge_feed(contract: Contract) -> Judgement:
        arrived = arrivals[contract.id]
        build = at_version(contract.bronze_table, changed[contract.bronze_table])
        # A feed's history is compared with nothing, and too large to be looked at for nothing.
        counted = [arrival for arrival in arrived if arrival.span_days is not None]
        measured = profiles.measure(spark, contract, build, counted)
        order = [arrival.batch_id for arrival in arrived]
        return judge_in_order(contract, order, measured, earlier[contract.id], granted)

    found = engine.side_by_side(judge_feed, feeds)
    return Judgement(
        [f for one in found for f in one.findings],
        [p for one in found for p in one.passing],
        [b for one in found for b in one.held],
        [b for one in found for b in one.broken],
    )


def judge_in_order(
    contract: Contract,
    order: Sequence[str],
    measured: Mapping[str, Profile],
    earlier: Sequence[Profile],
    granted: Sequence[Waiver],
) -> Judgement:
    """Judges a feed's batches one after the other; those that pass count as history for the next.

    From the first that is held on, all wait, unjudged. Batches without a profile pass.
    """
    findings: list[Finding] = []
    past = list(earlier)
    passing: list[Profile] = []
    for place, batch_id in enumerate(order):
        profile = measured.get(batch_id)
        if profile is None:
            continue
        if came_before := history.repeated(profile, past):
            profile = replace(profile, statistics={**profile.statistics, "repeated": came_before})
        found = _findings(contract, profile, past, granted)
        findings += found
        if any(f.holds_back for f in found):
            return Judgement(findings, passing, list(order[place:]), [batch_id])
        passing.append(profile)
        past.append(profile)
    return Judgement(findings, passing, (), ())


def _findings(
    contract: Contract, profile: Profile, past: Sequence[Profile], granted: Sequence[Waiver]
) -> list[Finding]:
    table, batch, policy = contract.bronze_table, profile.batch_id, contract.gate
    rows = profile.statistics["volume"].count
    alike = history.comparable(profile, past)
    if alike < policy.minimum_history:
        detail = f"{alike} earlier batches cover as many days, {policy.minimum_history} are needed"
        return [Finding(table, "history: too short to hold anything back", True, rows, None, detail, batch_id=batch)]
    strays = history.judge(profile, past, policy)
    kept = len({history.rule_of(name) for name in profile.statistics}) - len(strays)
    detail = f"{kept} rules kept, by {alike} earlier batches"
    found = [Finding(table, "history: as before", True, rows, None, detail, batch_id=batch)]
    for stray in strays:
        word = waivers.word_for(granted, table, stray.rule, batch)
        found.append(
            Finding(table, stray.rule, False, rows, None, _told(stray), stray.severity, batch_id=batch, waived=word)
        )
    return found


def _told(stray: Stray) -> str:
    """What was expected and what was found, in the rule's unit."""
    low, high, found = (f"{value:,.4g}" for value in (stray.low, stray.high, stray.found))
    unit = f" {stray.unit}" if stray.unit else ""
    return f"expected {low} to {high}{unit}, found {found}; by {stray.history} earlier batches"


def _released() -> dict[tuple[str, str], int]:
    """How many rows were let out of quarantine into each contract's partition."""
    rows = control.rows("release", "contract string, release_partition string")
    return Counter((row["contract"], row["release_partition"]) for row in rows)
