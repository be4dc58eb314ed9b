"""What became of outages and schema changes, told from the ledger of pulls and the batches that landed.

An outage is a stretch of days on which a department could not be asked, up to the first day on which all its feeds
were pulled whole. A schema change is the day a feed's records first differed from its contract, or came in a version
that the contract had foreseen. Departments of a connection that went and came together are told as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from itertools import groupby
from pathlib import Path

from lakehouse import families
from lakehouse.families import Family, Outline
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.freshness import EFFECTS, STYLE
from spark_jobs.pull import ledger
from spark_jobs.pull.ledger import Attempt

DOWN = (ledger.UNREACHABLE, ledger.HELD_OFF)
FROZEN, EVOLVED, QUARANTINED, FORESEEN = "frozen", "evolved", "quarantined", "foreseen"
OUTAGE_COLUMNS = (
    "what was away",
    "first missed",
    "back on",
    "attempts",
    "of these kept by the breaker",
    "caught up (records)",
    "oldest (days)",
    "allowed",
    "scores meanwhile",
    "why",
)
CHANGE_COLUMNS = (
    "feed",
    "seen on",
    "difference",
    "policy",
    "what happened",
    "records concerned",
    "settled on",
    "by contract",
)


@dataclass(frozen=True)
class Outage:
    """A stretch of days without a department. `back_on` is None while it lasts.

    `attempts` counts pulls of its feeds that failed, `held_off` those of them that the breaker kept from asking;
    `caught_up` the records of the first whole pulls afterwards. `oldest_days` is the greatest age that a feed reached,
    `allowed_days` what its contract allows and `effect` what scores did beyond; None where nothing was exceeded.
    """

    connection: str
    departments: tuple[str, ...]
    first_on: date
    back_on: date | None
    attempts: int
    held_off: int
    caught_up: int
    oldest_days: int
    allowed_days: int
    effect: str | None
    why: str


@dataclass(frozen=True)
class Change:
    """A change of a feed's records. `kind`: `frozen` (nothing was taken in until the contract knew it), `evolved`
    (rows taken in, unknown fields kept aside), `quarantined` (rows landed and held), `foreseen` (the contract knew).

    `records` counts those that waited, came with unknown fields, were held, or came first in the new version.
    `settled_on` and `contract_version` say when, and by which contract, nothing was unknown any more.
    """

    contract: str
    seen_on: date
    difference: str
    kind: str
    policy: str
    records: int
    settled_on: date | None
    contract_version: str | None


def outages() -> list[Outage]:
    """Every outage of the ledger, oldest first; those that came and went together as one."""
    found = [o for family in _families() for department in family.departments.values() for o in _outages(department)]
    found.sort(key=lambda o: (o.first_on, o.connection, o.back_on or date.max, o.departments))
    groups = groupby(found, key=lambda o: (o.first_on, o.connection, o.back_on))
    return [_together(list(group)) for _, group in groups]


def changes() -> list[Change]:
    """Every schema change of the ledger, oldest first."""
    versions = {batch.batch_id: batch.contract_version for batch in landing.landed()}
    found = [c for family in _families() for outline in family.feeds for c in _changes(outline, versions)]
    return sorted(found, key=lambda c: (c.seen_on, c.contract))


def _families() -> list[Family]:
    return families.families(families.outlines(get_settings().contracts_dir))


def _by_day(attempts: Iterable[Attempt]) -> list[tuple[date, list[Attempt]]]:
    """Attempts by partition, both in order."""
    ordered = sorted(attempts, key=lambda a: (a.partition, a.attempted_at))
    return [(date.fromisoformat(day), list(held)) for day, held in groupby(ordered, key=lambda a: a.partition)]


def _outages(department: Sequence[Outline]) -> list[Outage]:
    """The outages of one department, from the attempts on all its feeds."""
    found, failed, begun, last_whole = [], [], None, {}
    for day, held in _by_day(a for outline in department for a in ledger.attempts(outline.contract)):
        newest = {a.contract: a for a in held}
        down = [a for a in held if a.outcome in DOWN]
        failed += down
        if any(a.outcome in DOWN for a in newest.values()):
            begun = begun or day
        elif begun or down:
            caught = sum(a.records for a in newest.values() if a.outcome == ledger.LANDED)
            found.append(_outage(department, begun or day, day, failed, caught, last_whole, day))
            failed, begun = [], None
        last_whole |= {a.contract: day for a in newest.values() if a.outcome in ledger.SUCCESSFUL}
    if begun:
        end = max(date.fromisoformat(a.partition) for a in failed)
        found.append(_outage(department, begun, None, failed, 0, last_whole, end))
    return found


def _outage(
    department: Sequence[Outline],
    begun: date,
    back_on: date | None,
    failed: Sequence[Attempt],
    caught_up: int,
    last_whole: Mapping[str, date],
    end: date,
) -> Outage:
    missed = max(date.fromisoformat(a.partition) for a in failed)
    ages = {o: (missed - last_whole[o.contract]).days for o in department if o.contract in last_whole}
    worst = max(ages, key=lambda o: ages[o] - o.feed.stale_after_days, default=department[0])
    oldest, allowed = ages.get(worst, (end - begun).days), worst.feed.stale_after_days
    return Outage(
        connection=worst.feed.connection,
        departments=(worst.feed.department,),
        first_on=begun,
        back_on=back_on,
        attempts=len(failed),
        held_off=sum(a.outcome == ledger.HELD_OFF for a in failed),
        caught_up=caught_up,
        oldest_days=oldest,
        allowed_days=allowed,
        effect=worst.feed.when_stale if oldest > allowed else None,
        why=next((a.error.partition("\n")[0] for a in failed if a.error), ""),
    )


def _together(group: Sequence[Outage]) -> Outage:
    """Outages of the same days as one; the one that went furthest beyond what was allowed speaks for its age."""
    worst = max(group, key=lambda o: o.oldest_days - o.allowed_days)
    return replace(
        worst,
        departments=tuple(name for o in group for name in o.departments),
        attempts=sum(o.attempts for o in group),
        held_off=sum(o.held_off for o in group),
        caught_up=sum(o.caught_up for o in group),
    )


def _changes(outline: Outline, versions: Mapping[str, str]) -> list[Change]:
    """The changes of one feed: each opens with an attempt that differed and closes with the next that did not."""
    found, open_change, known_version = [], None, None
    for attempt in sorted(ledger.attempts(outline.contract), key=lambda a: (a.partition, a.attempted_at)):
        day = date.fromisoformat(attempt.partition)
        version = versions.get(attempt.batch_id or "")
        if attempt.outcome == ledger.SCHEMA_CHANGED or (attempt.outcome == ledger.LANDED and attempt.fields):
            seen = open_change or _opened(outline, attempt, day)
            held = attempt.records if attempt.outcome == ledger.LANDED else 0
            open_change = replace(seen, records=seen.records + held)
        elif attempt.outcome == ledger.LANDED:
            if open_change:
                waited = attempt.records if open_change.kind == FROZEN else 0
                settled = replace(open_change, records=open_change.records + waited)
                found.append(replace(settled, settled_on=day, contract_version=version))
                open_change = None
            elif known_version is not None and attempt.schema_version > known_version:
                difference = f"version {attempt.schema_version}"
                found.append(
                    Change(
                        outline.contract,
                        day,
                        difference,
                        FORESEEN,
                        outline.feed.schema_change,
                        attempt.records,
                        day,
                        version,
                    )
                )
            known_version = max(known_version or 0, attempt.schema_version)
    return found + ([open_change] if open_change else [])


def _opened(outline: Outline, attempt: Attempt, day: date) -> Change:
    kind = FROZEN
    if attempt.outcome == ledger.LANDED:
        kind = QUARANTINED if outline.feed.schema_change == "quarantine" else EVOLVED
    difference = ", ".join(attempt.fields)
    return Change(outline.contract, day, difference, kind, outline.feed.schema_change, 0, None, None)


# The page


def write_page(title: str = "Outages and schema changes") -> Path:
    """Writes `outages.html` beside the gates' pages; returns its path."""
    folder = get_settings().reports_dir
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / "outages.html", folder / ".outages.draft"
    draft.write_text(html(title, outages(), changes()), encoding="utf-8")
    draft.replace(path)
    return path


def html(title: str, gone: Sequence[Outage], changed: Sequence[Change]) -> str:
    """The report as one page."""
    tables = (
        _html_table("Outages", OUTAGE_COLUMNS, [outage_row(o) for o in gone]),
        _html_table("Schema changes", CHANGE_COLUMNS, [change_row(c) for c in changed]),
    )
    head = f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    return f"{head}<h1>{escape(title)}</h1>{''.join(tables)}"


def _html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2><p class=ok>none</p>"
    head = "".join(f"<th>{escape(name)}" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def markdown(gone: Sequence[Outage], changed: Sequence[Change]) -> str:
    """The report's two tables as text."""
    return (
        f"## Outages\n\n{_markdown_table(OUTAGE_COLUMNS, [outage_row(o) for o in gone])}\n"
        f"## Schema changes\n\n{_markdown_table(CHANGE_COLUMNS, [change_row(c) for c in changed])}"
    )


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


def outage_row(outage: Outage) -> tuple[str, ...]:
    """An outage in the words of `OUTAGE_COLUMNS`."""
    many = len(outage.departments) > 3
    who = f"{len(outage.departments)} departments" if many else ", ".join(outage.departments)
    return (
        f"{outage.connection}: {who}",
        str(outage.first_on),
        str(outage.back_on or "still away"),
        str(outage.attempts),
        str(outage.held_off),
        f"{outage.caught_up:,}" if outage.back_on else "",
        str(outage.oldest_days),
        str(outage.allowed_days),
        EFFECTS[outage.effect] if outage.effect else "as ever",
        outage.why,
    )


def change_row(change: Change) -> tuple[str, ...]:
    """A change in the words of `CHANGE_COLUMNS`."""
    told = {
        FROZEN: "frozen: nothing was taken in from it on",
        EVOLVED: "rows taken in, what is unknown kept aside",
        QUARANTINED: "rows landed and held in quarantine",
        FORESEEN: "the contract knew it: taken in",
    }
    return (
        change.contract,
        str(change.seen_on),
        change.difference,
        change.policy,
        told[change.kind],
        f"{change.records:,}",
        str(change.settled_on or "not yet"),
        change.contract_version or "",
    )
