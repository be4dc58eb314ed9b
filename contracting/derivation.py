"""Which names derive from which in SQL texts, told by the texts alone.

Names are compared without their tables, so what is said is never too little and sometimes too much: two columns of one
name in one model count as one. Fields of a struct that a lambda takes apart are told from one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import sqlglot
from sqlglot import errors, exp

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HOLE = "zzz"  # within a name: a part that is known only when the program runs


class Derivation:
    """Names and what they are made of, collected from SQL texts. `read` holds every name that occurs.

    `outputs` are the columns of a query's outermost part. With `has_star`, names go through that nobody writes, and
    come out (`passes_all`) where the outermost part has a star too.
    """

    def __init__(self) -> None:
        self.made_of: dict[str, set[str]] = {}
        self.read: set[str] = set()
        self.outputs: set[str] = set()
        self.has_star = self.passes_all = False

    def add_expression(self, text: str) -> None:
        """An SQL expression with or without an alias, a condition, or a bare name; words where it is none of them."""
        found = _parsed(f"SELECT {text}")
        if found is None:
            self.read |= set(WORD.findall(text))
        else:
            self._take(found)

    def add_query(self, query: exp.Expression) -> None:
        """A whole query."""
        self._take(query)
        self.has_star |= any(not isinstance(star.parent, exp.Count) for star in query.find_all(exp.Star))
        for select in query.selects if isinstance(query, exp.Query) else ():
            self.passes_all |= select.is_star
            self.outputs.add(select.alias_or_name)

    def add_pair(self, name: str, source: str) -> None:
        """A name that is made of another."""
        self.made_of.setdefault(name, set()).add(source)
        self.read |= {source}

    def reached(self, names: Iterable[str]) -> set[str]:
        """The given names that occur, and all that are made of them, at any distance."""
        found = self._with_holes(set(names))
        if not self.has_star:
            found &= self.read | set(self.made_of) | self.outputs
        while True:
            more = {name for name, parts in self.made_of.items() if parts & found} - found
            if not more:
                return found
            found |= more

    def results(self, names: Iterable[str]) -> set[str]:
        """The outputs that the given names reach."""
        found = self.reached(names)
        return found if self.passes_all else found & self.outputs

    def _with_holes(self, names: set[str]) -> set[str]:
        """The names, and those with a hole that one of them fits."""
        holed = [name for name in self.read if HOLE in name and name.replace(HOLE, "").strip("_")]
        fits = {h for h in holed if any(re.fullmatch(h.replace(HOLE, "[a-z0-9]+"), name) for name in names)}
        return names | fits

    def mentions(self, names: Iterable[str]) -> bool:
        """Whether the texts speak of any of the names, rather than let them through."""
        return bool(self._with_holes(set(names)) & (self.read | set(self.made_of)))

    def _take(self, query: exp.Expression) -> None:
        for alias in query.find_all(exp.Alias, exp.PropertyEQ):
            named = alias.alias if isinstance(alias, exp.Alias) else alias.this.name
            value = alias.this if isinstance(alias, exp.Alias) else alias.expression
            self.made_of.setdefault(named, set()).update(_columns(value))
        self.read |= _columns(query)
        # `using (a, b)` names columns as bare identifiers.
        for join in query.find_all(exp.Join):
            self.read |= {identifier.name for identifier in join.args.get("using") or ()}


def _columns(expression: exp.Expression) -> set[str]:
    """The columns of an expression; of an array that a lambda takes apart, the fields that it takes."""
    apart: set[int] = set()
    fields: set[str] = set()
    for function in expression.find_all(exp.Func):
        parts = list(function.iter_expressions())
        taken = {dot.expression.name for dot in _dots(function, parts)}
        if taken:
            fields |= taken
            arrays = [part for part in parts if not isinstance(part, exp.Lambda)]
            apart |= {id(column) for array in arrays for column in array.find_all(exp.Column)}
    return fields | {column.name for column in expression.find_all(exp.Column) if id(column) not in apart}


def _dots(function: exp.Func, parts: Iterable[exp.Expression]) -> Iterator[exp.Dot]:
    """Where a function's lambdas take a field of an element; a running total's own fields are none."""
    for one in parts:
        if isinstance(one, exp.Lambda):
            names = [identifier.name for identifier in one.expressions]
            elements = set(names[1:] if isinstance(function, exp.Reduce) else names)
            yield from (dot for dot in one.this.find_all(exp.Dot) if dot.this.name in elements)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> exp.Expression | None:
    try:
        return sqlglot.parse_one(text, dialect="spark")
    except (errors.SqlglotError, RecursionError):
        return None
