"""What an expression is made of, and what a table's columns and rows are made of.

A reference is the name of a column (`silver.vat_invoice.tax_cny`) or of a table (`silver.vat_invoice`), which stands
for which rows it has. Names are compared without case, as Spark does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Refs = frozenset[str]
NOTHING: Refs = frozenset()
# The count of a record's versions, when one follows another, and bronze's digest of a row tell whether contents change;
# they decide no record.
VERSION = "version_no"
TELL_APART = {VERSION, "superseded_at", "record_hash"}


@dataclass(frozen=True)
class Value:
    """What a value is made of.

    `refs`: what it is computed from. `decided_by`: what decides which rows it is computed over. `told_apart`: of what
    it only tells whether it changed (a 64-bit hash), which decides nothing further. `fields` are those of a struct, or
    of a list's or map's elements, where they are known.
    """

    refs: Refs = NOTHING
    fields: Mapping[str, Value] | None = None
    told_apart: Refs = NOTHING
    decided_by: Refs = NOTHING

    @property
    def computed(self) -> Refs:
        """All that it is computed from."""
        return self.refs | self.told_apart

    @property
    def deciding(self) -> Refs:
        """What decides, where a condition is made of the value."""
        return self.refs | self.decided_by

    def field(self, name: str) -> Value:
        """One field; the whole value where its fields are not known."""
        if self.fields is None or name.lower() not in self.fields:
            return self.plain()
        return self.fields[name.lower()]

    def plain(self) -> Value:
        """The same without its fields."""
        return Value(self.refs, None, self.told_apart, self.decided_by)

    def given(self, other: Value) -> Value:
        """The value, made of another one too; each of its fields is as well."""
        fields = self.fields and {name: value.given(other) for name, value in self.fields.items()}
        return Value(
            self.refs | other.refs, fields, self.told_apart | other.told_apart, self.decided_by | other.decided_by
        )

    def decided(self, refs: Refs) -> Value:
        """The value, over rows that something more decides."""
        return self.given(Value(decided_by=refs)) if refs - self.decided_by else self


def merged(values: Iterable[Value]) -> Value:
    """What is made of several values; their fields are kept, each made of the values without fields too."""
    listed = list(values)
    whole = Value(
        NOTHING.union(*(v.refs for v in listed)),
        None,
        NOTHING.union(*(v.told_apart for v in listed)),
        NOTHING.union(*(v.decided_by for v in listed)),
    )
    structs = [v for v in listed if v.fields is not None]
    if not structs:
        return whole
    plain = merged(v for v in listed if v.fields is None)
    names = dict.fromkeys(name for v in structs for name in v.fields or {})
    fields = {name: merged(v.field(name) for v in structs).given(plain) for name in names}
    return Value(whole.refs, fields, whole.told_apart, whole.decided_by)


def struct(fields: Mapping[str, Value]) -> Value:
    """A struct of values."""
    whole = merged(value.plain() for value in fields.values())
    known = {name.lower(): value for name, value in fields.items()}
    return Value(whole.refs, known, whole.told_apart, whole.decided_by)


@dataclass(frozen=True)
class Relation:
    """Columns in their order, and what decides which rows there are.

    A relation that is `open` (the name of a table whose columns nobody lists) has every column that is asked for.
    """

    columns: Mapping[str, Value] = field(default_factory=dict)
    rows: Refs = NOTHING
    open: str | None = None

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name.lower() in self.columns or self.open is not None

    def column(self, name: str) -> Value:
        """A column; made of everything here where nothing is known of it, so that nothing is missed."""
        if (known := self.columns.get(name.lower())) is not None:
            return known
        if self.open:
            return Value(frozenset({f"{self.open}.{name.lower()}"}))
        return merged(v.plain() for v in self.columns.values()).decided(self.rows)

    def whole(self) -> Value:
        """A row as one value."""
        return struct(self.columns)

    def optional(self) -> Relation:
        """The relation at a side of an outer join that may be missing: its rows decide its values."""
        return Relation({name: value.decided(self.rows) for name, value in self.columns.items()}, NOTHING, self.open)


def relation(columns: Mapping[str, Value], rows: Refs) -> Relation:
    """A relation of the given columns; what tells contents apart decides nothing further."""
    return Relation({n.lower(): _apart(v) if n.lower() in TELL_APART else v for n, v in columns.items()}, rows)


def _apart(value: Value) -> Value:
    return Value(told_apart=value.computed | value.decided_by)


def table(name: str, columns: Iterable[str]) -> Relation:
    """A table as others read it: each column refers to itself, and so do its rows."""
    listed = {column.lower(): Value(frozenset({f"{name}.{column.lower()}"})) for column in columns}
    return relation(listed, frozenset({name}))


def union(parts: Iterable[Relation]) -> Relation:
    """Relations one under the other, by name."""
    listed = list(parts)
    names = dict.fromkeys(name for part in listed for name in part.columns)
    columns = {n: merged(part.columns[n] for part in listed if n in part.columns) for n in names}
    return Relation(columns, NOTHING.union(*(part.rows for part in listed)))
