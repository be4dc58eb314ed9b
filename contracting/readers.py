"""Who reads a column of a contract: tables of silver, dbt models, features, gates, labels and registered models.

What comes of a column is told by the lineage of the project's own texts; nothing is run and no engine is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.contracts import Contract
from lakehouse.errors import VinelakeError
from lineage import graph as lineage
from lineage import models
from lineage.graph import Graph
from lineage.values import TELL_APART

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KINDS = ("bronze", "silver", "gate", "dbt model", "feature", "label", "model")
CALLED = {"bronze": "bronze", "silver": "silver", "dbt": "dbt model", "gold": "dbt model", "feature": "feature"}


@dataclass(frozen=True)
class Reader:
    """Something that reads a column: its kind (one of KINDS), its name, and which columns of its own come of it."""

    kind: str
    name: str
    columns: tuple[str, ...] = ()


class Readers:
    """The readers of every contract of a project as it stands."""

    def __init__(self, known: Mapping[str, Contract], project: Path) -> None:
        self.known, self.project = known, project

    def of(self, contract: Contract, columns: Iterable[str]) -> list[Reader]:
        """Everything that reads one of the columns of a contract, in the order in which data flow."""
        graph = self._graph(contract)
        reached = graph.below(f"{contract.id}.{name}" for name in columns)
        touched: dict[str, set[str]] = {}
        for node in (graph.nodes[name] for name in reached):
            table, _, column = node.id.rpartition(".")
            # What only tells that contents changed breaks nobody.
            if node.kind in CALLED and column not in TELL_APART:
                touched.setdefault(node.id if node.is_table else table, set()).update(() if node.is_table else {column})
        found = [reader for table, names in touched.items() for reader in self._reader(graph, table, names)]
        if lineage.OUTCOMES in reached:
            told = {e.source for e in graph.parents(lineage.OUTCOMES)} & set(reached)
            names = tuple(sorted({name.rpartition(".")[2] for name in told if not graph.nodes[name].is_table}))
            found.append(Reader("label", "who turned bad (ml/labels.py)", names))
        return sorted(found, key=lambda reader: (KINDS.index(reader.kind), reader.name))

    def _graph(self, contract: Contract) -> Graph:
        """The project's lineage; with the contract in the state that is asked about, where that is another."""
        return lineage.build({**self.known, contract.id: contract}, self.project)

    def _reader(self, graph: Graph, table: str, names: set[str]) -> Iterator[Reader]:
        kind = graph.nodes[table].kind
        if kind == "feature":
            yield from (Reader("feature", name) for name in names & self._feature_names)
            return
        yield Reader(CALLED[kind], table if kind in ("bronze", "silver") else table.partition(".")[2], _ordered(names))
        if kind in ("bronze", "silver"):
            yield from self._gates(table, names)

    @property
    def _feature_names(self) -> set[str]:
        from spark_jobs import feature_docs

        return {feature.name for feature in feature_docs.definitions()}

    def _gates(self, table: str, names: set[str]) -> Iterator[Reader]:
        """The expectations and identities that name one of the columns."""
        from expectations import suites

        own = suites.SILVER.get(table, ())
        if table.startswith("bronze."):
            contract = self.known.get(table.partition(".")[2])
            own = suites.bronze_suite(contract) if contract else ()
        read = {name for e in own for name in _named(e.arguments.values())}
        for identity in suites.SILVER_IDENTITIES:
            if f"{{{table}}}" in identity.left + identity.right:
                read |= set(WORD.findall(identity.left + " " + identity.right))
        if touched := names & read:
            yield Reader("gate", f"expectations on {table}", _ordered(touched))


def models_with(features: Iterable[str]) -> tuple[list[Reader], str | None]:
    """(registered models in office or candidates that take one of the features, why none could be asked for)."""
    wanted = set(features)
    if not wanted:
        return [], None
    try:
        found = models.registered()
    except (VinelakeError, OSError, ImportError) as error:
        return [], getattr(error, "what", str(error))[:150]
    taken = [(m, wanted & {*m.features, *m.deciding}) for m in found]
    named = [(f"{m.name} version {m.version} ({', '.join(m.aliases)})", names) for m, names in taken if names]
    return [Reader("model", name, _ordered(names)) for name, names in named], None


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _named(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _named(value)
