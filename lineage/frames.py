"""A stand-in for Spark's data frames: called as they are, it notes what each column and the rows are made of.

What silver's makers do is followed by calling them. An operation that is not known here gives a frame each of whose
columns is made of everything, so that what is said is never too little.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from lineage.expressions import Scope, condition, of_text, parse
from lineage.queries import selected
from lineage.values import NOTHING, Refs, Relation, Value, merged, relation, union


class Expression:
    """A stand-in for a column expression: how its value follows from a scope, and its name."""

    def __init__(self, value: Callable[[Scope], Value], name: str = "") -> None:
        self.value, self.name = value, name

    def alias(self, name: str) -> Expression:
        """The same under a name."""
        return Expression(self.value, name)

    def __getattr__(self, name: str) -> Callable[..., Expression]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *others: _made_of([self, *others], self.name)

    def __and__(self, other: Any) -> Expression:
        return _made_of([self, other])

    __or__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __and__  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __and__
    __getitem__ = __and__
    __hash__ = object.__hash__

    def __invert__(self) -> Expression:
        return self


def _made_of(parts: Iterator[Any] | list[Any], name: str = "") -> Expression:
    listed = list(parts)
    return Expression(lambda scope: merged(_value(part, scope) for part in listed), name)


def _value(part: Any, scope: Scope) -> Value:
    if isinstance(part, Expression):
        return part.value(scope)
    if isinstance(part, list | tuple):
        return merged(_value(inner, scope) for inner in part)
    return Value()


def expr(text: str) -> Expression:
    """An expression given as SQL."""
    return Expression(lambda scope: of_text(text, scope), parse(text)[0].alias_or_name)


def column(name: str) -> Expression:
    """A column by its name, `a.b` where a side of a join is meant."""
    return expr(".".join(f"`{part.strip('`')}`" for part in name.split(".")))


def _function(*given: Any) -> Expression:
    """Any other function of Spark: made of what it is given; a text names a column."""
    return _made_of([column(part) if isinstance(part, str) and part.isidentifier() else part for part in given])


class _Functions:
    """A stand-in for `pyspark.sql.functions` in one thread; others that use it meanwhile get the real one."""

    def __init__(self, real: Any) -> None:
        self._real, self._thread = real, threading.get_ident()

    def __getattribute__(self, name: str) -> Any:
        held = object.__getattribute__
        if name.startswith("__") or threading.get_ident() != held(self, "_thread"):
            return getattr(held(self, "_real"), name)
        return OWN_FUNCTIONS.get(name, _function)


OWN_FUNCTIONS: dict[str, Callable[..., Expression]] = {
    "expr": expr,
    "col": column,
    "column": column,
    "lit": lambda value: Expression(lambda scope: Value()),
}


@contextlib.contextmanager
def standing_in() -> Iterator[None]:
    """While it lasts, `pyspark.sql.functions` makes expressions of this module in this thread."""
    from pyspark import sql
    from pyspark.sql import functions as real

    sql.functions = _Functions(real)  # type: ignore[assignment]
    try:
        yield
    finally:
        sql.functions = real


class Frame:
    """A stand-in for a data frame: its relation, and the sides of a join by their aliases."""

    def __init__(self, made: Relation, sides: Mapping[str, Relation] | None = None) -> None:
        self.relation, self.sides = made, dict(sides or {})

    @property
    def columns(self) -> list[str]:
        return list(self.relation.columns)

    @property
    def schema(self) -> Any:
        """Types are not followed: every column is a text."""
        kind = SimpleNamespace(simpleString=lambda: "string")
        return {name: SimpleNamespace(name=name, dataType=kind) for name in self.columns}

    @property
    def sparkSession(self) -> Session:
        return Session()

    def __getitem__(self, name: str) -> Expression:
        value = self.relation.column(name)
        return Expression(lambda scope: value, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: self._anything([*given, *named.values()])

    def alias(self, name: str) -> Frame:
        return Frame(self.relation, {name.lower(): self.relation})

    def selectExpr(self, *texts: Any) -> Frame:
        scope = self._scope()
        found: dict[str, Value] = {}
        for number, text in enumerate(_flat(texts)):
            for item in parse(text):
                found.update(selected(item, scope, number))
        return self._made(found, scope)

    def select(self, *items: Any) -> Frame:
        scope = self._scope()
        found: dict[str, Value] = {}
        for number, item in enumerate(_flat(items)):
            if isinstance(item, Expression):
                found[item.name or f"_{number}"] = item.value(scope)
            elif item == "*" or item.endswith(".*"):
                found.update(selected(parse(item)[0], scope))
            else:
                one = column(item)
                found[one.name] = one.value(scope)
        return self._made(found, scope)

    def where(self, asked: Any) -> Frame:
        scope = self._scope()
        refs = condition(asked, scope) if isinstance(asked, str) else _value(asked, scope).deciding
        return self._with_rows(refs | frozenset(scope.aside))

    filter = where

    def withColumn(self, name: str, value: Expression) -> Frame:
        scope = self._scope()
        return self._made({**self.relation.columns, name.lower(): value.value(scope)}, scope)

    def withColumnRenamed(self, old: str, new: str) -> Frame:
        renamed = {(new if n == old.lower() else n): v for n, v in self.relation.columns.items()}
        return Frame(relation(renamed, self.relation.rows))

    def drop(self, *names: Any) -> Frame:
        gone = {(n.name if isinstance(n, Expression) else n).lower() for n in names}
        kept = {name: value for name, value in self.relation.columns.items() if name not in gone}
        return Frame(relation(kept, self.relation.rows))

    def distinct(self) -> Frame:
        return self._with_rows(merged(self.relation.columns.values()).deciding)

    def dropDuplicates(self, names: Any = None) -> Frame:
        return self._with_rows(merged(self.relation.column(n) for n in names or self.columns).deciding)

    def orderBy(self, *items: Any) -> Frame:
        """An order decides which rows a limit leaves; without one it decides nothing, and too much is said."""
        scope = self._scope()
        names = [column(item) if isinstance(item, str) else item for item in _flat(items)]
        return self._with_rows(merged(_value(item, scope) for item in names).deciding)

    sort = orderBy

    def unionByName(self, other: Frame, allowMissingColumns: bool = False) -> Frame:
        return Frame(union([self.relation, other.relation]))

    def join(self, other: Frame, on: Any = None, how: str = "inner") -> Frame:
        left, right, kind = self.relation, other.relation, how.lower().replace("_", "").replace("outer", "")
        names = [on] if isinstance(on, str) else list(on) if isinstance(on, list | tuple) else []
        names = [n for n in names if isinstance(n, str)]
        sides = {**(self.sides or {}), **(other.sides or {})}
        scope = Scope({"_left": left, "_right": right, **sides})
        decided = merged([_value(on, scope), *(r.column(n) for n in names for r in (left, right))]).deciding
        decided |= scope.aside
        if kind in ("leftsemi", "semi", "leftanti", "anti"):
            return Frame(Relation(left.columns, left.rows | right.rows | decided, left.open), self.sides)
        rows = left.rows | right.rows | decided
        if kind in ("left", "full"):
            right = right.optional()
        if kind in ("right", "full"):
            left = left.optional()
        both = {
            n: merged(r.columns[n] for r in (left, right) if n in r.columns) for n in [*left.columns, *right.columns]
        }
        if kind != "full":
            keeper = right if kind == "right" else left
            both |= {n.lower(): keeper.column(n) for n in names}
        kept = {name: _side(name, self, other, left, right) for name in sides}
        return Frame(Relation(both, rows, left.open or right.open), kept)

    def groupBy(self, *keys: Any) -> Grouped:
        return Grouped(self, _flat(keys))

    def agg(self, *values: Expression) -> Frame:
        return self.groupBy().agg(*values)

    def _scope(self) -> Scope:
        return Scope({"_": self.relation, **self.sides})

    def _made(self, columns: Mapping[str, Value], scope: Scope) -> Frame:
        return Frame(relation(columns, self.relation.rows | frozenset(scope.aside)))

    def _with_rows(self, refs: Refs) -> Frame:
        return Frame(Relation(self.relation.columns, self.relation.rows | refs, self.relation.open), self.sides)

    def _anything(self, given: list[Any]) -> Frame:
        """An operation that is not known: columns of before, each made of everything that went in."""
        frames = [self, *(one for one in given if isinstance(one, Frame))]
        refs = NOTHING.union(*(everything(f.relation) for f in frames))
        names = [*self.columns, *(n for text in given if isinstance(text, str) for n in _declared(text))]
        return Frame(Relation({name: Value(refs) for name in names}, refs))


def everything(made: Relation) -> Refs:
    """All that a relation's columns and rows are made of."""
    whole = merged(made.columns.values())
    return made.rows | whole.computed | whole.decided_by


def _side(name: str, first: Frame, second: Frame, left: Relation, right: Relation) -> Relation:
    """What an alias of one side means after a join: its own columns, as they stand beside the other side."""
    frame, now = (first, left) if name in first.sides else (second, right)
    columns = {n: now.columns.get(n, v) for n, v in frame.sides[name].columns.items()}
    return Relation(columns, NOTHING, frame.sides[name].open)


class Grouped:
    """A stand-in for a grouped data frame."""

    def __init__(self, frame: Frame, keys: list[Any]) -> None:
        self.frame, self.keys = frame, keys

    def agg(self, *values: Any) -> Frame:
        scope = self.frame._scope()
        keys = {}
        for key in self.keys:
            one = key if isinstance(key, Expression) else column(key)
            keys[one.name] = one.value(scope)
        found = {value.name: value.value(scope) for value in _flat(values)}
        decided = merged(keys.values()).deciding | frozenset(scope.aside)
        return Frame(relation({**keys, **found}, self.frame.relation.rows | decided))

    def count(self) -> Frame:
        """Groups with the number of their rows."""
        return self.agg(expr("count(*) AS count"))

    def __getattr__(self, name: str) -> Callable[..., Frame]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: self.frame._anything([*given, *named.values()])


class Session:
    """A stand-in for a Spark session, as far as makers of tables use it; `tables` gives those that are read by name."""

    def __init__(self, tables: Callable[[str], Frame] | None = None) -> None:
        self._tables = tables or (lambda name: Frame(Relation({}, frozenset({name}), name)))

    @property
    def catalog(self) -> Any:
        """Every table is there."""
        return SimpleNamespace(tableExists=lambda name: True)

    def table(self, name: str) -> Frame:
        return self._tables(name)

    def createDataFrame(self, rows: Any = None, schema: Any = "") -> Frame:
        names = _declared(schema) if isinstance(schema, str) else [str(name) for name in schema]
        return Frame(Relation({name.lower(): Value() for name in names}))


def _declared(schema: str) -> list[str]:
    """The columns of a schema written as text; none where it is no schema."""
    from sqlglot import errors, exp

    try:
        kind = exp.DataType.build(f"struct<{schema}>", dialect="spark")
    except (errors.SqlglotError, ValueError):
        return []
    return [part.name for part in kind.expressions if isinstance(part, exp.ColumnDef)]


def _flat(items: Any) -> list[Any]:
    found: list[Any] = []
    for item in items:
        found += _flat(item) if isinstance(item, list | tuple) else [item]
    return found
