"""Which columns of bronze silver's own code reads, and which columns of silver come of them.

A maker is followed through the functions and constants of this project that it names; what it says to Spark are texts,
and those are read as SQL. A name that is put together at run time is matched by its fixed part.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

from contracting.derivation import HOLE, Derivation

OWN = ("spark_jobs.",)


def derivation(make: Callable[..., Any]) -> tuple[Derivation, frozenset[str]]:
    """What a maker of a silver table says in SQL, and every text that it names, such as ids of contracts."""
    found, texts = Derivation(), set()
    for function in _functions(make):
        said, pairs = _texts(function)
        texts |= said
        for text in said:
            found.add_expression(text)
        for name, source in pairs:
            found.add_pair(name, source)
        found.has_star |= _takes_every_column(function)
    return found, frozenset(texts)


def makers(make: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The functions that a table is put together from: those given to a partial, else the function itself."""
    if isinstance(make, partial):
        given = [v for v in [*make.args, *make.keywords.values()] if isinstance(v, tuple | list)]
        inner = [f for values in given for f in values if callable(f)]
        return inner or [make.func]
    return [make]


def _functions(make: Callable[..., Any]) -> Iterator[FunctionType]:
    """A function and all functions of this project that it names, at any distance."""
    waiting: list[Any] = [make]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        if not function.__module__.startswith(OWN):
            continue
        seen.add(id(function))
        yield function
        waiting += [value for value in _named(function) if isinstance(value, FunctionType)]


def _named(function: FunctionType) -> Iterator[Any]:
    """The values of the names that a function's source uses."""
    scope = function.__globals__
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Name) and node.id in scope:
            yield scope[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in scope:
            yield getattr(scope[node.value.id], node.attr, None)


def _texts(function: FunctionType) -> tuple[set[str], set[tuple[str, str]]]:
    """The texts that a function says or names, and the pairs of its dictionaries of texts."""
    said, pairs, parts = set(), set(), set()
    tree = _tree(function)
    documentation = ast.get_docstring(tree.body[0], clean=False) if tree.body else None  # type: ignore[arg-type]
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            said.add(_filled(node))
            parts |= {id(v) for v in node.values}
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if _is_text(key) and _is_text(value):
                    pairs.add((key.value, value.value))  # type: ignore[union-attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            said.add(node.value)
    for value in _named(function):
        said |= set(_texts_in(value))
    return said - {documentation, ""}, pairs


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list | set | frozenset | dict):
        for inner in value:
            yield from _texts_in(inner)


def _filled(node: ast.JoinedStr) -> str:
    """A text with holes: each is filled with the texts within it where they are names, else with one word."""
    filled = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            filled += str(part.value)
        else:
            names = [n.value for n in ast.walk(part) if _is_text(n) and n.value.isidentifier()]  # type: ignore[attr-defined]
            filled += f"coalesce({', '.join(names)})" if names else HOLE
    return filled


def _takes_every_column(function: FunctionType) -> bool:
    """Whether a function lists a contract's columns itself: `known[…].columns`."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "columns" and isinstance(node.value, ast.Subscript)
        and isinstance(node.value.value, ast.Attribute) and node.value.value.attr == "known"
        for node in ast.walk(_tree(function))
    )  # fmt: skip


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@lru_cache(maxsize=512)
def _tree(function: FunctionType) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))
