"""Waivers: by whose word, for what reason and until when a broken rule of a gate does not hold its table back.

Entries of `control.waiver` are added and withdrawn, never changed or removed: who let what pass stays on record.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from fnmatch import fnmatchcase

from lakehouse import control, tables
from lakehouse.errors import ConfigError
from lakehouse.time import business_today, parse_partition, utc_now

WAIVER_SCHEMA = (
    "waiver_id string, table_name string, rule string, batch_id string, author string, reason string, ends_on date, "
    "added_at timestamp, withdrawn_by string, withdrawn_at timestamp"
)

BETWEEN_TABLES = "between tables"  # where identities stand in a report


@dataclass(frozen=True)
class Waiver:
    """One entry. `rule` is a rule's name as the report gives it, or a pattern with `*`; `batch_id` limits it to one
    batch. `ends_on` is the last day on which it counts, in the business calendar."""

    waiver_id: str
    table_name: str
    rule: str
    batch_id: str | None
    author: str
    reason: str
    ends_on: date
    added_at: datetime
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None

    def is_live(self, today: date) -> bool:
        """Whether it counts on a day."""
        return self.withdrawn_at is None and today <= self.ends_on

    def covers(self, table: str, rule: str, batch_id: str | None) -> bool:
        """Whether it is about this rule of this table, and of this batch where it names one."""
        about_rule = self.rule == rule or fnmatchcase(rule, self.rule)
        return self.table_name == table and about_rule and self.batch_id in (None, batch_id)

    @property
    def word(self) -> str:
        """By whose word, for a report."""
        return f"{self.author} until {self.ends_on}: {self.reason}"


def add(table: str, rule: str, author: str, reason: str, until: str, batch_id: str | None = None) -> Waiver:
    """Adds an entry; refuses one without reason or end, ending in the past, or about no table of a layer."""
    if not reason.strip():
        raise ConfigError("a waiver needs a reason", remedy="say in --why what makes the deviation right")
    if not rule.strip() or not author.strip():
        raise ConfigError("a waiver needs a rule and an author", remedy="name the rule as the gate's report does")
    layer, name = tables.split(table)
    if table != BETWEEN_TABLES and (layer not in tables.BUILT_LAYERS or not name):
        raise ConfigError(
            f"{table!r} is no table of a layer",
            remedy=f"name it as the report does, for example silver.loan, or {BETWEEN_TABLES!r}",
        )
    ends_on = parse_partition(until)
    if ends_on < business_today():
        raise ConfigError(
            f"the waiver would have ended on {ends_on}",
            where=f"today is {business_today()}",
            remedy="give a day to come",
        )
    entry = Waiver(uuid.uuid4().hex[:12], table, rule, batch_id, author, reason.strip(), ends_on, utc_now())
    control.append("waiver", WAIVER_SCHEMA, [astuple(entry)])
    return entry


def withdraw(waiver_id: str, author: str) -> Waiver:
    """Ends an entry now; it stays on record with who withdrew it."""
    entry = next((w for w in entries() if w.waiver_id == waiver_id), None)
    if entry is None or entry.withdrawn_at is not None:
        state = "was withdrawn already" if entry else "is not there"
        raise ConfigError(f"waiver {waiver_id!r} {state}", remedy="`vinelake waiver list` shows those that count")
    ended = replace(entry, withdrawn_by=author, withdrawn_at=utc_now())
    control.merge("waiver", WAIVER_SCHEMA, [astuple(ended)], ("waiver_id",))
    return entry


def entries() -> list[Waiver]:
    """Every entry there ever was, in the order in which they were added."""
    found = [Waiver(**row) for row in control.rows("waiver", WAIVER_SCHEMA)]
    return sorted(found, key=lambda waiver: (waiver.added_at, waiver.waiver_id))


def live(on: date | None = None) -> list[Waiver]:
    """The entries that count on a day, today if none is given."""
    return [w for w in entries() if w.is_live(on or business_today())]


def word_for(live_ones: Iterable[Waiver], table: str, rule: str, batch_id: str | None) -> str | None:
    """By whose word a broken rule passes; None if by nobody's."""
    return next((w.word for w in live_ones if w.covers(table, rule, batch_id)), None)
