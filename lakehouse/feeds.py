"""Where a contract's records come from and how they are pulled: connection, protocol, and the policies of a feed.

A feed is a contract's custom properties `feed`, `schemaChange` and `outage`; a column's property `variants` says how
the source names, scales or codes it from a later schema version on. Contracts without a feed claim files of a drop.

A schema version counts a source's schemas from 1: in the header of a page (`X-Schema-Version`), in the manifest of a
history file, in a message. A page is in the schema in force when it was asked for, whatever the age of its records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

PROTOCOLS = ("rest", "enquiry", "jdbc", "stream", "files")
SCHEMA_POLICIES = ("evolve", "freeze", "quarantine")
STALE_EFFECTS = ("degrade", "refer", "stop")
FEED_KEYS = {"connection", "protocol", "path", "department", "options"}
VARIANT_KEYS = {"schemaVersion", "physicalName", "scale", "codes"}
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Faults(Protocol):
    """What reports a fault of a contract with its line; it does not return."""

    def own(self, name: str) -> list[str | int]: ...

    def stop(self, what: str, at: Sequence[str | int], remedy: str) -> Any: ...


@dataclass(frozen=True)
class Variant:
    """How a source delivers a column from one of its schema versions on; None keeps what held before.

    `scale` is multiplied with the number as sent, so that a change of unit ends in the contract's unit.
    """

    schema_version: int
    source_name: str | None = None
    scale: str | None = None
    codes: Mapping[str, str] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Feed:
    """How a contract's records are pulled.

    `connection` names an entry of the connections file; `path` is the list, table, topic or pattern there;
    `department` is what fails and recovers together. `schema_change`: `evolve` takes rows in and keeps unknown fields
    aside, `freeze` stops the feed, `quarantine` lands the rows and holds them. Data older than `stale_after_days` make
    scores `degrade` (say so), `refer` (to a person) or `stop`.
    """

    connection: str
    protocol: str
    path: str
    department: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    schema_change: str = "freeze"
    stale_after_days: int = 7
    when_stale: str = "degrade"

    @property
    def task(self) -> str:
        """The name of the feed's department among all connections, for tasks, assets and breakers."""
        return self.department if self.department == self.connection else f"{self.connection}__{self.department}"


def parse_feed(fault: Faults, own: Mapping[str, Any]) -> Feed | None:
    """The feed that custom properties describe; None where there is none."""
    if "feed" not in own:
        return None
    at, entry = fault.own("feed"), own["feed"]
    if not isinstance(entry, Mapping) or set(entry) - FEED_KEYS:
        known = ", ".join(sorted(FEED_KEYS))
        fault.stop(f"feed {entry!r} is not a feed", at, f"give {known}")
    for name in ("connection", "protocol", "path"):
        if not isinstance(entry.get(name), str):
            fault.stop(f"feed lacks {name}", at, f"add {name} to the feed")
    if entry["protocol"] not in PROTOCOLS:
        fault.stop(f"no protocol {entry['protocol']!r}", at, f"one of {', '.join(PROTOCOLS)}")
    department = str(entry.get("department", entry["connection"]))
    for named in (entry["connection"], department):
        if not NAME.fullmatch(named):
            fault.stop(f"{named!r} is not a name", at, "use small letters, digits and underscores")
    policy = own.get("schemaChange", "freeze")
    if policy not in SCHEMA_POLICIES:
        fault.stop(
            f"schemaChange {policy!r} is not a policy",
            fault.own("schemaChange"),
            f"one of {', '.join(SCHEMA_POLICIES)}",
        )
    days, effect = _outage(fault, own.get("outage", {}))
    return Feed(
        connection=entry["connection"],
        protocol=entry["protocol"],
        path=entry["path"],
        department=department,
        options=dict(entry.get("options") or {}),
        schema_change=policy,
        stale_after_days=days,
        when_stale=effect,
    )


def _outage(fault: Faults, entry: Any) -> tuple[int, str]:
    at = fault.own("outage")
    if not isinstance(entry, Mapping) or set(entry) - {"staleAfterDays", "scores"}:
        fault.stop(f"outage {entry!r} is not a policy", at, "give staleAfterDays and scores")
    days, effect = entry.get("staleAfterDays", 7), entry.get("scores", "degrade")
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        fault.stop(f"outage.staleAfterDays {days!r} is not a number of days", at, "write a whole number, 1 or more")
    if effect not in STALE_EFFECTS:
        fault.stop(f"outage.scores {effect!r} is not an effect", at, f"one of {', '.join(STALE_EFFECTS)}")
    return days, effect


def parse_variants(fault: Faults, entries: Any, at: Sequence[str | int]) -> tuple[Variant, ...]:
    """A column's variants in order of schema version."""
    found = []
    for entry in entries or []:
        if not isinstance(entry, Mapping) or set(entry) - VARIANT_KEYS or not set(entry) - {"schemaVersion"}:
            fault.stop(f"variant {entry!r} is not one", at, f"give {', '.join(sorted(VARIANT_KEYS))}")
        version = entry.get("schemaVersion")
        if not isinstance(version, int) or version < 2:
            fault.stop(f"variant.schemaVersion {version!r} is not a later version", at, "a whole number, 2 or more")
        codes = entry.get("codes")
        found.append(
            Variant(
                version,
                entry.get("physicalName"),
                parse_scale(fault, entry.get("scale"), at),
                None if codes is None else {str(k): str(v) for k, v in codes.items()},
            )
        )
    return tuple(sorted(found, key=lambda v: v.schema_version))


def parse_scale(fault: Faults, scale: Any, at: Sequence[str | int]) -> str | None:
    """A factor as exact decimal text; None where there is none."""
    if scale is None:
        return None
    try:
        factor = Decimal(str(scale))
    except InvalidOperation:
        factor = Decimal("NaN")
    if not factor.is_finite() or factor == 0:
        fault.stop(f"scale {scale!r} is not a factor", at, 'for example "0.01" from fen to yuan')
    return str(scale)
