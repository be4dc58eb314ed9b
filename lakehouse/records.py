"""How silver keeps the records of a feed: what a record is, which of its versions is later, and when it is gone.

A contract's custom property `silver` says so; a contract without it has no versioned table of its own in silver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.feeds import NAME, Faults

if TYPE_CHECKING:
    from lakehouse.contracts import Column

RECORD_KEYS = {"entity", "keys", "order", "deleted", "carry", "subject"}
SUBJECT_KEYS = {"key", "name", "codes"}


@dataclass(frozen=True)
class Subject:
    """The columns by which a department names a party: its own number, the name, and national codes where known."""

    key: str
    name: str | None
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A versioned table of silver.

    `entity`: the table's name. `keys`: what identifies a business record. `order`: the source's own order of versions,
    earliest first; arrival never decides. `deleted`: an SQL condition on the columns that marks a version as the
    record's end. `carry`: each message tells only what changed, so that what it leaves empty keeps its last value.
    """

    entity: str
    keys: tuple[str, ...]
    order: tuple[str, ...]
    deleted: str | None = None
    carry: bool = False
    subject: Subject | None = None

    @property
    def table(self) -> str:
        """The table's name, for example `silver.tax_return`."""
        return f"silver.{self.entity}"


def parse_record(
    fault: Faults, entry: Any, columns: Sequence[Column], contract_keys: Sequence[str], order: Sequence[str]
) -> Record | None:
    """The record that a contract's property `silver` describes; None without one.

    Keys left out are the contract's own without those that only order versions; an order left out is the contract's
    `versionOrder`. A fault is reported with its line.
    """
    if entry is None:
        return None
    at = fault.own("silver")
    if not isinstance(entry, Mapping) or set(entry) - RECORD_KEYS:
        fault.stop(f"silver {entry!r} is not a record", at, f"give {', '.join(sorted(RECORD_KEYS))}")
    if not isinstance(entry.get("entity"), str) or not NAME.fullmatch(entry["entity"]):
        fault.stop("silver lacks entity", at, "name the table in small letters, for example tax_return")
    order = tuple(entry.get("order") or order)
    keys = tuple(entry.get("keys") or (key for key in contract_keys if key not in order))
    subject = _subject(fault, entry.get("subject"), at)
    deleted = entry.get("deleted")
    named = [*keys, *order, *_columns_of(fault, deleted, at)]
    named += [subject.key, *filter(None, [subject.name]), *subject.codes] if subject else []
    names = [c.name for c in columns]
    for name in named:
        if name not in names:
            fault.stop(f"silver: {name!r} is not a column", at, f"use one of {', '.join(names)}")
    if not keys:
        fault.stop("silver: no key is left", at, "give silver.keys")
    return Record(entry["entity"], keys, order, deleted, bool(entry.get("carry", False)), subject)


def _subject(fault: Faults, entry: Any, at: Sequence[str | int]) -> Subject | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or set(entry) - SUBJECT_KEYS or not isinstance(entry.get("key"), str):
        fault.stop(f"silver.subject {entry!r} is not one", at, "give key, name and codes, each by its column")
    return Subject(entry["key"], entry.get("name"), tuple(entry.get("codes") or ()))


def _columns_of(fault: Faults, condition: Any, at: Sequence[str | int]) -> list[str]:
    """The columns that an SQL condition reads."""
    import sqlglot
    from sqlglot import errors, exp

    if condition is None:
        return []
    try:
        return sorted({c.name for c in sqlglot.parse_one(str(condition), dialect="spark").find_all(exp.Column)})
    except errors.SqlglotError as error:
        return fault.stop(f"silver.deleted is not SQL: {error}", at, "write a Spark SQL condition")
