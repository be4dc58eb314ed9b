"""What changes between two versions of a contract, and whether that breaks those who read its tables.

A change breaks when a column is gone, means something else, or rows that were accepted may be held: whoever reads it
has to look. What only adds or allows more is compatible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from lakehouse.contracts import Column, Contract


@dataclass(frozen=True)
class Change:
    """One difference: the column as readers know it (None: the whole table), what happens, and whether it breaks."""

    column: str | None
    what: str
    breaks: bool


def compare(old: Contract | None, new: Contract | None) -> list[Change]:
    """Every difference, those that break first. One side None: the contract is added or removed as a whole."""
    if old is None or new is None:
        word = "added" if old is None else "removed"
        return [Change(None, f"the contract is {word}", old is not None)] if old or new else []
    found = [*_columns(old, new), *_rules(old, new), *_table(old, new), *_feed(old, new)]
    return sorted(found, key=lambda change: not change.breaks)


def version_fault(old: Contract, new: Contract, changes: list[Change]) -> str | None:
    """Why the new version's number does not fit its changes; None where it does."""
    if not changes:
        return None
    if any(change.breaks for change in changes) and _major(new.version) <= _major(old.version):
        return f"the change breaks readers: {old.version} must go to {_major(old.version) + 1}.0.0, not {new.version}"
    if old.version == new.version:
        return f"the version stays {old.version} though the contract changes"
    return None


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = ({c.name: c for c in contract.columns} for contract in (old, new))
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    renamed = {
        b: a for b in gone for a in come if before[b].source_name == after[a].source_name and before[b] != after[a]
    }
    for name in (c.name for c in old.columns):
        if name in renamed:
            yield Change(name, f"renamed to {renamed[name]}", True)
            yield from _column(before[name], after[renamed[name]])
        elif name in gone:
            yield Change(name, "removed", True)
        else:
            yield from _column(before[name], after[name])
    for column in new.columns:
        if column.name in come and column.name not in renamed.values():
            narrows = ", and records without it will be held" if column.required else ""
            yield Change(column.name, f"added{narrows}", column.required)


def _column(old: Column, new: Column) -> Iterator[Change]:
    name = old.name
    if old.spark_type != new.spark_type:
        widens = _widens(old.spark_type, new.spark_type)
        yield Change(name, f"type {old.spark_type} → {new.spark_type}{' (wider)' if widens else ''}", not widens)
    for what, breaks, before, after in (
        ("unit", True, old.unit, new.unit),
        ("factor", True, old.scale or "1", new.scale or "1"),
        ("name at the source", not _kept_as_variant(old, new), old.source_name, new.source_name),
        ("format", True, old.date_format, new.date_format),
        ("separator of thousands", False, old.group_separator, new.group_separator),
        ("classification", new.is_personal != old.is_personal, old.classification, new.classification),
        ("kind of token", True, old.token_kind, new.token_kind),
        ("data subject", False, old.data_subject, new.data_subject),
        ("sealed except where", True, old.impersonal_where, new.impersonal_where),
        ("outcome", True, old.is_outcome, new.is_outcome),
        ("part of the content", True, not old.is_transport, not new.is_transport),
        ("known in", False, old.references, new.references),
    ):
        if before != after:
            yield Change(name, f"{what} {_shown(before)} → {_shown(after)}", breaks)
    yield from _limits(old, new)
    yield from _codes(name, old.codes, new.codes)
    if old.variants != new.variants:
        yield Change(name, "spellings of later schema versions change", not set(old.variants) <= set(new.variants))


def _limits(old: Column, new: Column) -> Iterator[Change]:
    """Rules on a column's values: tighter ones hold rows that were accepted."""
    if old.required != new.required:
        yield Change(old.name, "required" if new.required else "no longer required", True)
    if old.pattern != new.pattern:
        yield Change(old.name, f"pattern {_shown(old.pattern)} → {_shown(new.pattern)}", new.pattern is not None)
    for word, before, after, sign in (
        ("minimum", old.minimum, new.minimum, 1),
        ("maximum", old.maximum, new.maximum, -1),
    ):
        if before != after:
            tighter = after is not None and (before is None or _order(after, before) * sign > 0)
            yield Change(old.name, f"{word} {_shown(before)} → {_shown(after)}", tighter)
    if old.not_after_received != new.not_after_received:
        word = "must not be after receipt" if new.not_after_received else "may be after receipt"
        yield Change(old.name, word, new.not_after_received)


def _codes(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    if dict(old) == dict(new):
        return
    if bool(old) != bool(new):
        yield Change(name, "values are coded" if new else "values are no longer coded", True)
        return
    for code in old.keys() - new.keys():
        yield Change(name, f"code {code} ({old[code]}) is no longer known", True)
    for code in old.keys() & new.keys():
        if old[code] != new[code]:
            yield Change(name, f"code {code} means {new[code]}, not {old[code]}", True)
    for code in sorted(new.keys() - old.keys()):
        fresh = new[code] not in old.values()
        yield Change(
            name, f"code {code} is added" + (f": the new value {new[code]} may appear" if fresh else ""), False
        )


def _rules(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = ({r.name: r.condition for r in contract.row_rules} for contract in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield Change(None, f"row rule {name} is dropped", False)
        elif before.get(name) != after[name]:
            word = "changes" if name in before else "is added"
            yield Change(None, f"row rule {name} {word}: rows that were accepted may be held", True)


def _table(old: Contract, new: Contract) -> Iterator[Change]:
    for what, before, after in (
        ("key", old.keys, new.keys),
        ("record in silver", old.silver, new.silver),
        ("subject", old.subject, new.subject),
        ("order of versions", old.version_order, new.version_order),
        ("time of knowledge", old.known_at, new.known_at),
    ):
        if before != after:
            added = what == "record in silver" and before is None
            yield Change(None, f"{what} {_shown(before)} → {_shown(after)}", not added)
    if old.max_quarantined_ratio != new.max_quarantined_ratio:
        yield Change(
            None, f"tolerates {new.max_quarantined_ratio:.1%} of bad rows, not {old.max_quarantined_ratio:.1%}", False
        )
    if old.gate != new.gate:
        yield Change(None, "what the gate compares with earlier batches changes", False)


def _feed(old: Contract, new: Contract) -> Iterator[Change]:
    """How records come in; readers of the tables see none of it."""
    for what, before, after in (
        ("files", (old.file_pattern, old.encoding, old.unknown_columns),
         (new.file_pattern, new.encoding, new.unknown_columns)),
        ("feed", old.feed, new.feed),
    ):  # fmt: skip
        if before != after:
            yield Change(None, f"the {what} it comes by change", False)


def _widens(old: str, new: str) -> bool:
    numbers = [re.fullmatch(r"decimal\((\d+),(\d+)\)", kind) for kind in (old, new)]
    if all(numbers):
        (p0, s0), (p1, s1) = (map(int, match.groups()) for match in numbers if match)
        return s1 >= s0 and p1 - s1 >= p0 - s0
    return False


def _kept_as_variant(old: Column, new: Column) -> bool:
    """Whether the old contract knew the new name already, as that of a later schema version."""
    return any(variant.source_name == new.source_name for variant in old.variants)


def _order(left: str, right: str) -> int:
    try:
        a, b = Decimal(left), Decimal(right)
    except InvalidOperation:
        return (left > right) - (left < right)
    return (a > b) - (a < b)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple) and all(isinstance(v, str) for v in value):
        return "(" + ", ".join(value) + ")"
    return str(value)
