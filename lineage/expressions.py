"""What an SQL expression is made of: columns, fields of structs, and elements of lists that a lambda takes apart.

Conditions, orders and partitions decide which rows or values are taken: they are collected beside the value, as what
the rows of the relation are made of. A function that is not known here is made of all that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import sqlglot
from sqlglot import errors, exp

from lakehouse.errors import ConfigError
from lineage.values import NOTHING, Refs, Relation, Value, merged, struct

# In this project a 64-bit hash tells whether contents changed; longer digests name things.
TELLS_APART = {"xxhash64", "hash"}
CONTEXT_FREE = (exp.Literal, exp.DataType, exp.Var, exp.Null, exp.Boolean)


@dataclass
class Scope:
    """What names mean within a query: relations by alias, a lambda's parameters, named windows.

    `aside` collects what orders and partitions are made of; `query` evaluates a query within an expression. `joined`
    says from which relation a column comes that a join uses by name; from all of them where that is empty.
    """

    relations: Mapping[str, Relation]
    query: Callable[[exp.Query, Scope], Relation] | None = None
    outer: Scope | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    windows: Mapping[str, exp.Expression] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    joined: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> Refs:
        """What decides which rows the relations have."""
        return NOTHING.union(*(relation.rows for relation in self.relations.values()))

    def column(self, name: str, table: str = "") -> Value:
        """A column by name; of `a.b`, `a` may be a relation or a struct."""
        if table:
            if (found := self.relations.get(table.lower())) is not None:
                return found.column(name)
            if self.outer and self.outer.knows(table):
                return self.outer.column(name, table)
            return self.column(table).field(name)
        if name.lower() in self.parameters:
            return self.parameters[name.lower()]
        if keeper := self.joined.get(name.lower()):
            return self.relations[keeper].column(name)
        holders = [r for r in self.relations.values() if name.lower() in r.columns]
        if not holders and self.outer and not any(r.open for r in self.relations.values()):
            return self.outer.column(name)
        if not holders:
            holders = [r for r in self.relations.values() if r.open] or list(self.relations.values())
            around = [self.outer.column(name)] if self.outer and self.outer.lists(name) else []
            return merged([*around, *(r.column(name) for r in holders)])
        return merged(r.column(name) for r in holders)

    def knows(self, table: str) -> bool:
        """Whether a relation has this alias, here or around."""
        return table.lower() in self.relations or bool(self.outer and self.outer.knows(table))

    def lists(self, name: str) -> bool:
        """Whether a relation here or around has this column by name."""
        held = any(name.lower() in relation.columns for relation in self.relations.values())
        return held or bool(self.outer and self.outer.lists(name))

    def within(self, parameters: Mapping[str, Value]) -> Scope:
        """The scope in a lambda's body."""
        known = {**self.parameters, **{name.lower(): value for name, value in parameters.items()}}
        return Scope(self.relations, self.query, self.outer, known, self.windows, self.aside, self.joined)


def parse(text: str) -> list[exp.Expression]:
    """The expressions of a select list; a ConfigError where the text is no Spark SQL."""
    return _parsed(text)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> list[exp.Expression]:
    try:
        return list(sqlglot.parse_one(f"SELECT {text}", dialect="spark").expressions)
    except (errors.SqlglotError, RecursionError) as error:
        raise ConfigError(
            f"lineage cannot read an expression: {error}", where=text[:200], remedy="write it as Spark SQL"
        ) from error


def of_text(text: str, scope: Scope) -> Value:
    """What an expression given as text is made of."""
    return merged(evaluate(expression, scope) for expression in parse(text))


def condition(expression: exp.Expression | str | None, scope: Scope) -> Refs:
    """What a condition is made of; a hash that tells contents apart decides nothing."""
    if expression is None:
        return NOTHING
    return (of_text(expression, scope) if isinstance(expression, str) else evaluate(expression, scope)).deciding


def evaluate(expression: exp.Expression, scope: Scope) -> Value:
    """What an expression is made of."""
    for kind, rule in RULES.items():
        if isinstance(expression, kind):
            return rule(expression, scope)
    return _function(expression, scope)


def _column(node: exp.Column, scope: Scope) -> Value:
    if isinstance(node.this, exp.Star):
        chosen = [scope.relations[node.table.lower()]] if node.table.lower() in scope.relations else []
        return merged(r.whole() for r in chosen or scope.relations.values())
    parts = [part.name for part in node.parts]
    if len(parts) > 2:
        value = scope.column(parts[1], parts[0])
        for name in parts[2:]:
            value = value.field(name)
        return value
    return scope.column(node.name, node.table)


def _identifier(node: exp.Identifier, scope: Scope) -> Value:
    """A lambda's parameter; elsewhere an identifier names a part of something else."""
    return scope.parameters.get(node.name.lower(), Value())


def _dot(node: exp.Dot, scope: Scope) -> Value:
    whole = evaluate(node.this, scope)
    return whole.field(node.expression.name) if isinstance(node.expression, exp.Identifier) else whole


def _struct(node: exp.Struct, scope: Scope) -> Value:
    fields = {}
    for number, entry in enumerate(node.expressions, start=1):
        if isinstance(entry, exp.PropertyEQ | exp.Alias):
            name = entry.this.name if isinstance(entry, exp.PropertyEQ) else entry.alias
            value = entry.expression if isinstance(entry, exp.PropertyEQ) else entry.this
        else:
            name, value = getattr(entry, "alias_or_name", "") or f"col{number}", entry
        fields[name] = evaluate(value, scope)
    return struct(fields)


def _zipped(node: exp.ArraysZip, scope: Scope) -> Value:
    return struct({part.alias_or_name or f"{n}": evaluate(part, scope) for n, part in enumerate(node.expressions)})


def _map(node: exp.MapFromEntries, scope: Scope) -> Value:
    """A map of entries: looked up, it gives the entries' values; their keys decide which."""
    entries = evaluate(node.this, scope)
    if entries.fields is None or len(entries.fields) != 2:
        return entries
    key, value = entries.fields.values()
    return value.decided(key.deciding)


def _from_json(node: exp.FromJson, scope: Scope) -> Value:
    """A text taken apart: each field of the stated type is made of all of it."""
    text = evaluate(node.this, scope)
    stated = node.args.get("expression")
    if not isinstance(stated, exp.Literal):
        return text
    try:
        return _typed(exp.DataType.build(stated.name, dialect="spark"), text)
    except (errors.SqlglotError, ValueError):
        return text


def _typed(kind: exp.Expression, text: Value) -> Value:
    if isinstance(kind, exp.DataType) and kind.is_type("struct"):
        return struct({part.name: _typed(part.args.get("kind"), text) for part in kind.expressions})
    if isinstance(kind, exp.DataType) and kind.is_type("array") and kind.expressions:
        return _typed(kind.expressions[0], text)
    return text


def _chosen(node: exp.ArgMin | exp.ArgMax, scope: Scope) -> Value:
    """One of several values, by an order: the order decides which row it is from."""
    scope.aside |= evaluate(node.expression, scope).deciding
    return evaluate(node.this, scope)


def _window(node: exp.Window, scope: Scope) -> Value:
    """An order and a partition decide which rows are looked at; a place among them is made of nothing else."""
    named = scope.windows.get(node.alias.lower()) if node.alias else None
    decided: set[str] = set()
    for place in (node, named) if named is not None else (node,):
        for part in [*(place.args.get("partition_by") or ()), place.args.get("order")]:
            decided |= condition(part, scope)
    scope.aside |= decided
    value = evaluate(node.this, scope)
    return value if value.computed else value.decided(scope.rows | decided)


def _filtered(node: exp.Filter, scope: Scope) -> Value:
    return evaluate(node.this, scope).decided(condition(node.expression, scope))


def _count(node: exp.Count, scope: Scope) -> Value:
    """Counting rows, and nothing of them, is about which rows there are."""
    value = merged(evaluate(part, scope) for part in _children(node) if not isinstance(part, exp.Star))
    return value if value.computed else value.decided(scope.rows)


def _subquery(node: exp.Expression, scope: Scope) -> Value:
    query = node.this if isinstance(node, exp.Subquery | exp.Exists) else node
    if isinstance(query, exp.Query) and scope.query:
        found = scope.query(query, scope)
        return merged(found.columns.values()).decided(found.rows)
    return _function(node, scope)


def _function(node: exp.Expression, scope: Scope) -> Value:
    """A function or an operator, by what it is given; one with lambdas by what they make of the elements."""
    lambdas = [part for part in _children(node) if isinstance(part, exp.Lambda)]
    given = [evaluate(part, scope) for part in _children(node) if not isinstance(part, exp.Lambda)]
    if lambdas:
        return _taken_apart(node, given, lambdas, scope)
    whole = merged(given)
    if node.name.lower() in TELLS_APART and isinstance(node, exp.Anonymous):
        return Value(told_apart=whole.computed | whole.decided_by)
    return whole


def _taken_apart(node: exp.Expression, given: list[Value], lambdas: list[exp.Lambda], scope: Scope) -> Value:
    name = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
    elements = given[0] if given else Value()
    if isinstance(node, exp.Reduce):
        # What has been added up so far is made of the start and of every element.
        total = merged(v.plain() for v in given)
        return merged([*(v.plain() for v in given[1:]), *(_body(one, [total, elements], scope) for one in lambdas)])
    body = merged(_body(one, given if name == "zip_with" else [elements], scope) for one in lambdas)
    if isinstance(node, exp.ArrayFilter):
        return elements.decided(body.deciding | body.told_apart)
    # How many elements there are is made of a plain list, and of a list of structs only by its rows.
    return merged([body, *(v for v in given if v.fields is None)])


def _body(one: exp.Lambda, elements: list[Value], scope: Scope) -> Value:
    names = [parameter.name for parameter in one.expressions]
    if len(names) > len(elements) > 1 or (len(elements) == 1 and len(names) > 2):
        values = [merged(elements)] * len(names)
    else:
        values = [*elements, *[Value()] * len(names)][: len(names)]
    return evaluate(one.this, scope.within(dict(zip(names, values, strict=True))))


def _children(node: exp.Expression) -> Iterator[exp.Expression]:
    yield from (child for child in node.iter_expressions() if not isinstance(child, CONTEXT_FREE))


RULES: dict[type | tuple[type, ...], Callable[..., Value]] = {
    exp.Column: _column,
    exp.Identifier: _identifier,
    exp.Dot: _dot,
    exp.Struct: _struct,
    exp.ArraysZip: _zipped,
    exp.MapFromEntries: _map,
    exp.FromJson: _from_json,
    (exp.ArgMin, exp.ArgMax): _chosen,
    exp.Window: _window,
    exp.Filter: _filtered,
    exp.Count: _count,
    (exp.Subquery, exp.Exists, exp.Query): _subquery,
    exp.Star: lambda node, scope: merged(r.whole() for r in scope.relations.values()),
    CONTEXT_FREE: lambda node, scope: Value(),
}
