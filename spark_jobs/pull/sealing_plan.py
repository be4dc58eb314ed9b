"""What to seal in the records of a contract: every personal field, and every field that the contract does not know.

A field that no one has classed may hold a person's name; so where a contract has personal columns, what is not stated
to be harmless (a column that is not personal, the feed's option `ignore`, what a connector adds) is sealed whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from lakehouse.contracts import Column, Contract

UNKNOWN, UNPARSED = "unknown_field", "unparsed_record"
# What connectors add to a record themselves; a message's key or raw text and a file's name are the sender's words.
ADDED = frozenset(
    ("_partition", "_offset", "_received_at", "_change_id", "_changed_at", "_op", "_day", "_bytes", "_sha256")
)


@dataclass(frozen=True)
class Rule:
    """How a field is sealed: the kind of its token, and where in the record its person is identified.

    `subject` is the path of the identifying field, `subject_kind` what kind of identifier it is. `exempt`: fields by
    path, and what they say where the value is no natural person's.
    """

    kind: str
    subject: tuple[str, ...]
    subject_kind: str
    exempt: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = ()

    def spares(self, told: Callable[[tuple[str, ...]], str | None]) -> bool:
        """Whether a record, asked for fields by path, says that the value is no natural person's. Silence seals."""
        return bool(self.exempt) and all((told(path) or "").strip() in values for path, values in self.exempt)


@dataclass
class Node:
    """One level of a record: fields to seal, levels below, and all names that may stand there.

    `is_open`: the whole object is a column of its own, so other names are known too.
    """

    seals: dict[str, Rule] = field(default_factory=dict)
    below: dict[str, Node] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    is_open: bool = False


@dataclass(frozen=True)
class Plan:
    """The rules of a contract for one schema version: by name for flat records (`rules`, `clear`), for JSON as a tree.

    `unknown` is the rule for every other field.
    """

    rules: dict[str, Rule]
    clear: frozenset[str]
    root: Node
    unknown: Rule


UNPARSED_RULE: Final = Rule(UNPARSED, (), UNPARSED)


@lru_cache(maxsize=256)
def plan(contract: Contract, schema_version: int) -> Plan:
    """The plan for a contract's records in a schema version of the source.

    A personal column is sealed under every name that it has in any version: a source may answer in an older one.
    """
    delivered = contract.at_version(schema_version)
    here = {c.source_name for c in delivered.columns if not c.is_personal}
    rules = {
        name: _rule(delivered, column)
        for column in contract.personal_columns
        for name in _names(column)
        if name not in here
    }
    clear = {name for c in contract.columns if not c.is_personal for name in _names(c)} - rules.keys()
    ignored = contract.feed.options.get("ignore", ()) if contract.feed else ()
    clear |= {*ignored, *ADDED} - rules.keys()
    subject = delivered.column(contract.subject)
    unknown = Rule(UNKNOWN, _path(subject), identifier(contract, subject))
    return Plan(rules, frozenset(clear), _tree(rules, clear), unknown)


def kind(column: Column) -> str:
    """The kind of a personal column's tokens."""
    return column.token_kind or column.name


def subject_of(contract: Contract, column: Column) -> Column:
    """The column that identifies whose a personal column's values are."""
    return contract.column(column.data_subject or contract.subject)


def _rule(contract: Contract, column: Column) -> Rule:
    subject = subject_of(contract, column)
    exempt = tuple(
        (_path(contract.column(name)), _sent(contract, name, v)) for name, v in column.impersonal_where.items()
    )
    return Rule(kind(column), _path(subject), identifier(contract, subject), exempt)


def _sent(contract: Contract, name: str, values: Iterable[str]) -> frozenset[str]:
    """How a source sends the values of a column."""
    codes = contract.column(name).codes
    return frozenset(code for code, value in codes.items() if value in values) if codes else frozenset(values)


def identifier(contract: Contract, column: Column) -> str:
    """What kind of identifier a column holds: persons known by one kind of number are the same in every feed."""
    if column.is_personal or column.token_kind:
        return kind(column)
    return f"{contract.id.split('__')[0]}.{column.name}"


def _names(column: Column) -> set[str]:
    return {column.source_name} | {v.source_name for v in column.variants if v.source_name}


def _path(column: Column) -> tuple[str, ...]:
    return tuple(column.source_name.split("."))


def _tree(rules: dict[str, Rule], clear: set[str]) -> Node:
    root = Node()
    for name in sorted(rules.keys() | clear):
        *steps, last = name.split(".")
        node = root
        for step in steps:
            node.known.add(step)
            node = node.below.setdefault(step, Node())
        node.known.add(last)
        if name in rules:
            node.seals[last] = rules[name]
    for name in sorted(clear):
        *steps, last = name.split(".")
        node = root
        for step in steps:
            node = node.below[step]
        if last in node.below:
            node.below[last].is_open = True
    return root
