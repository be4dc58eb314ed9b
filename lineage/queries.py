"""What a query's columns and rows are made of: common table expressions, joins, groupings, unions, stars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import sqlglot
from sqlglot import exp

from lineage.expressions import Scope, condition, evaluate
from lineage.values import NOTHING, Refs, Relation, Value, merged, relation

Tables = Callable[[str], Relation]
GENERATORS = (exp.Explode, exp.ExplodeOuter, exp.Posexplode, exp.PosexplodeOuter, exp.Inline)


def evaluate_query(query: exp.Expression, tables: Tables, outer: Scope | None = None) -> Relation:
    """The relation that a query makes of others; `tables` gives those that it names."""
    known: dict[str, Relation] = {}

    def named(name: str) -> Relation:
        return known[name.lower()] if name.lower() in known else tables(name)

    for entry in _ctes(query):
        known[entry.alias.lower()] = evaluate_query(entry.this, named, outer)
    if isinstance(query, exp.Subquery):
        return evaluate_query(query.this, named, outer)
    if isinstance(query, exp.SetOperation):
        return _stacked(evaluate_query(query.left, named, outer), evaluate_query(query.right, named, outer))
    if isinstance(query, exp.Select):
        return _select(query, named, outer)
    return _anything(query, named)


def evaluate_text(text: str, tables: Tables) -> Relation:
    """The same of a query's text in Spark's dialect."""
    return evaluate_query(sqlglot.parse_one(text, dialect="spark"), tables)


def _ctes(query: exp.Expression) -> list[exp.CTE]:
    held = query.args.get("with_") or query.args.get("with")
    return list(held.expressions) if held else []


def _anything(query: exp.Expression, tables: Tables) -> Relation:
    """A query of a kind that is not known: every column is made of every table that it names."""
    found = [tables(_full_name(node)) for node in query.find_all(exp.Table)]
    return Relation({}, NOTHING.union(*(r.rows | merged(r.columns.values()).deciding for r in found)))


def _stacked(above: Relation, below: Relation) -> Relation:
    """A union: columns by their place, names by the first part."""
    names, others = list(above.columns), list(below.columns.values())
    columns = {
        name: merged([above.columns[name], *([others[place]] if place < len(others) else [])])
        for place, name in enumerate(names)
    }
    return Relation(columns, above.rows | below.rows)


def _select(query: exp.Select, tables: Tables, outer: Scope | None) -> Relation:
    scope = Scope({}, lambda inner, around: evaluate_query(inner, tables, around), outer)
    scope.windows = {w.name.lower(): w for w in query.args.get("windows") or ()}
    sources: dict[str, Relation] = {}
    scope.relations = sources
    decided: set[str] = set()
    start = query.args.get("from_") or query.args.get("from")
    if start is not None:
        _add(start.this, sources, tables, outer)
    for join in query.args.get("joins") or ():
        decided |= _join(join, sources, scope, tables)
    for lateral in query.args.get("laterals") or ():
        _lateral(lateral, sources, scope)
    for part in ("where", "having", "qualify"):
        decided |= condition(query.args.get(part), scope)
    columns = _columns(query, scope)
    decided |= _grouped(query, columns, scope)
    if query.args.get("distinct"):
        decided |= merged(columns.values()).deciding
    if query.args.get("limit") is not None:
        decided |= condition(query.args.get("order"), scope)
    return relation(columns, scope.rows | decided | scope.aside)


def _add(source: exp.Expression, sources: dict[str, Relation], tables: Tables, outer: Scope | None) -> str:
    """Adds what a FROM or a JOIN names; returns its alias."""
    alias = source.alias_or_name.lower() or f"_{len(sources)}"
    if isinstance(source, exp.Table):
        sources[alias] = tables(_full_name(source))
    else:
        sources[alias] = evaluate_query(source, tables, outer)
    for join in source.args.get("joins") or ():
        _add(join.this, sources, tables, outer)
    return alias


def _full_name(node: exp.Table) -> str:
    return ".".join(part.name for part in node.parts)


def _join(join: exp.Join, sources: dict[str, Relation], scope: Scope, tables: Tables) -> Refs:
    """Adds a joined relation; returns what of the join decides which rows there are."""
    before = list(sources)
    alias = _add(join.this, sources, tables, scope.outer)
    side = (join.side or "").upper()
    decided = condition(join.args.get("on"), scope)
    for identifier in join.args.get("using") or ():
        decided |= scope.column(identifier.name).deciding
        name = identifier.name.lower()
        kept = {"FULL": "", "RIGHT": alias}.get(side, before[0])
        scope.joined[name] = scope.joined.get(name, kept) if kept else ""
    if (join.kind or "").upper() in ("SEMI", "ANTI"):
        return decided | sources.pop(alias).rows
    decided |= _optional(side, before, alias, sources)
    return decided


def _optional(side: str, before: list[str], alias: str, sources: dict[str, Relation]) -> Refs:
    """Where a side of an outer join may be missing, its rows decide its values, and may repeat the other side."""
    missing = {"LEFT": [alias], "RIGHT": before, "FULL": [*before, alias]}.get(side, [])
    rows = NOTHING.union(*(sources[name].rows for name in missing))
    sources.update({name: sources[name].optional() for name in missing})
    return rows


def _lateral(lateral: exp.Lateral, sources: dict[str, Relation], scope: Scope) -> None:
    value = evaluate(lateral.this, scope)
    alias = lateral.args.get("alias")
    named = [column.name for column in (alias.columns if alias is not None else ())]
    name = (alias.name if alias is not None else "") or f"_{len(sources)}"
    columns = {column: value.field(column) if value.fields else value for column in named} or dict(value.fields or {})
    sources[name.lower()] = Relation({n.lower(): v for n, v in columns.items()}, value.deciding)


def _columns(query: exp.Select, scope: Scope) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for number, item in enumerate(query.expressions):
        for name, value in selected(item, scope, number):
            found[name.lower()] = value
            # Later entries of the list may name earlier ones.
            if isinstance(item, exp.Alias) and not any(name.lower() in r.columns for r in scope.relations.values()):
                scope.parameters = {**scope.parameters, name.lower(): value}
    return found


def selected(item: exp.Expression, scope: Scope, number: int = 0) -> Iterator[tuple[str, Value]]:
    """The columns that one entry of a select list makes: one, or those of a star or a generator."""
    if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
        yield from _starred(item, scope)
        return
    inner = item.this if isinstance(item, exp.Alias | exp.Aliases) else item
    if isinstance(inner, GENERATORS):
        yield from _generated(item, inner, scope)
        return
    yield item.alias_or_name or f"_col{number}", evaluate(inner, scope)


def _starred(item: exp.Expression, scope: Scope) -> Iterator[tuple[str, Value]]:
    star = item if isinstance(item, exp.Star) else item.this
    without = {part.name.lower() for part in star.args.get("except_") or star.args.get("except") or ()}
    own = [item.table.lower()] if isinstance(item, exp.Column) and item.table.lower() in scope.relations else []
    if isinstance(item, exp.Column) and not own:
        # `told.*` where told is a struct
        for name, value in (scope.column(item.table).fields or {}).items():
            if name not in without:
                yield name, value
        return
    for alias in own or scope.relations:
        for name in scope.relations[alias].columns:
            if name not in without:
                yield (
                    name,
                    scope.column(name) if name in scope.joined and not own else scope.relations[alias].column(name),
                )


def _generated(item: exp.Expression, node: exp.Expression, scope: Scope) -> Iterator[tuple[str, Value]]:
    """What a list becomes when each element is a row: its fields, or one column of its elements."""
    value = evaluate(node.this, scope)
    scope.aside |= value.deciding if value.fields is None else NOTHING
    if isinstance(node, exp.Inline):
        yield from (value.fields or {"col": value}).items()
    elif isinstance(item, exp.Aliases):
        yield from ((alias.name, value) for alias in item.aliases)
    else:
        yield (item.alias if isinstance(item, exp.Alias) else "col"), value


def _grouped(query: exp.Select, columns: Mapping[str, Value], scope: Scope) -> Refs:
    """What a grouping's keys are made of; a number names an entry of the select list."""
    group, found = query.args.get("group"), NOTHING
    for key in group.expressions if group is not None else ():
        if isinstance(key, exp.Literal) and not key.is_string:
            found |= list(columns.values())[int(key.name) - 1].deciding
        else:
            found |= condition(key, scope)
    return found
