"""The graph: columns and tables from contracts to models, and what is made of what.

A column's node is `table.column`; a contract's is `contract.field`. A table's own node stands for which rows it has. An
edge is of kind `value` (computed from), `rows` (decides which rows count) or `outcome` (tells a model who turned bad).
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError
from lineage import contradictions, dbt_models, silver, source_features
from lineage.values import Relation

if TYPE_CHECKING:
    from lineage.models import ModelInputs

VALUE, ROWS, OUTCOME = "value", "rows", "outcome"
# In the order in which data flow.
KINDS = ("source", "bronze", "silver", "dbt", "gold", "feature", "outcome", "model", "score")
FEATURES, SCORES = "gold.enterprise_features", "gold.enterprise_score"
OUTCOMES = "outcome"


@dataclass(frozen=True)
class Node:
    """A column, or a table's rows; `facts` say what is known of a source's field or of a model."""

    id: str
    kind: str
    is_table: bool = False
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, order=True)
class Edge:
    """`target` is made of `source`."""

    source: str
    target: str
    kind: str


class Graph:
    """Nodes by id, and edges."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.notes: list[str] = []
        self._edges: dict[tuple[str, str], str] = {}
        self._parents: dict[str, list[Edge]] = {}
        self._children: dict[str, list[Edge]] = {}

    def add(self, node: Node) -> None:
        """Adds a node; one that is there stays."""
        self.nodes.setdefault(node.id, node)

    def put(self, edge: Edge) -> None:
        """Adds an edge; of two kinds between the same nodes the first stays."""
        if edge.source != edge.target and (edge.source, edge.target) not in self._edges:
            self._edges[edge.source, edge.target] = edge.kind
            self._parents.setdefault(edge.target, []).append(edge)
            self._children.setdefault(edge.source, []).append(edge)

    def connect(self, sources: Iterable[str], target: str, kind: str) -> None:
        """Adds edges of one kind to a node."""
        for source in sorted(sources):
            self.put(Edge(source, target, kind))

    @property
    def edges(self) -> list[Edge]:
        """All edges, in order."""
        return sorted(Edge(source, target, kind) for (source, target), kind in self._edges.items())

    def parents(self, node: str, kinds: Collection[str] = (VALUE, ROWS)) -> list[Edge]:
        """What a node is made of."""
        return sorted(edge for edge in self._parents.get(node, ()) if edge.kind in kinds)

    def children(self, node: str, kinds: Collection[str] = (VALUE, ROWS)) -> list[Edge]:
        """What is made of a node."""
        return sorted(edge for edge in self._children.get(node, ()) if edge.kind in kinds)

    def above(self, starts: Iterable[str], kinds: Collection[str] = (VALUE, ROWS)) -> dict[str, Edge | None]:
        """Every node that some nodes are made of, at any distance, with the edge that leads back to them."""
        return self._reach(starts, lambda node: [(e.source, e) for e in self.parents(node, kinds)])

    def below(self, starts: Iterable[str], kinds: Collection[str] = (VALUE, ROWS)) -> dict[str, Edge | None]:
        """Every node that is made of some nodes, at any distance, with the edge that leads back to them."""
        return self._reach(starts, lambda node: [(e.target, e) for e in self.children(node, kinds)])

    def _reach(self, starts, further) -> dict[str, Edge | None]:
        found: dict[str, Edge | None] = dict.fromkeys(sorted(starts))
        waiting = deque(found)
        while waiting:
            for node, edge in further(waiting.popleft()):
                if node not in found:
                    found[node] = edge
                    waiting.append(node)
        return found

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""
        return [n.id for n in self.nodes.values() if not n.is_table and n.id.rpartition(".")[0] == table]

    def find(self, asked: str) -> Node:
        """A node by its id, or a feature by its name; a ConfigError with close names where there is none."""
        column = asked.lower()
        for name in (asked, column, f"{FEATURES}.{column}", f"{source_features.TABLE}.{column}"):
            if name in self.nodes:
                return self.nodes[name]
        last = asked.rpartition(".")[2]
        close = difflib.get_close_matches(asked, self.nodes, n=4, cutoff=0.7)
        close += sorted(n for n in self.nodes if n.rpartition(".")[2] == last)[:4]
        close += difflib.get_close_matches(asked, self.nodes, n=3, cutoff=0.5) if not close else []
        raise ConfigError(
            f"there is no column {asked!r}",
            remedy=f"did you mean {', '.join(dict.fromkeys(close))}?"
            if close
            else "write contract.field, bronze.table.column, silver.table.column, gold.table.column or a model's name",
        )


@lru_cache(maxsize=4)
def _of_texts(
    known: tuple[Contract, ...], project: Path
) -> tuple[dict[str, Relation], dict[str, dbt_models.Model], dict[str, Relation]]:
    """Silver, dbt's models and findings; they take some seconds, and do not change while a process runs."""
    tables = silver.silver({contract.id: contract for contract in known})
    models = dbt_models.load(project / "dbt_project", tables)
    return tables, models, contradictions.followed(project, tables)


def build(known: Mapping[str, Contract], project: Path, models: Iterable[ModelInputs] = ()) -> Graph:
    """The graph of a project as it stands: its contracts, silver's code, the dbt models, and models' inputs."""
    graph = Graph()
    for contract in known.values():
        _add_source(graph, contract)
        _add_table(graph, contract.bronze_table, "bronze", silver.bronze(contract))
    tables, steps, findings = _of_texts(tuple(known.values()), project)
    for name, made in tables.items():
        _add_table(graph, name, "silver", made)
        if made.open:
            graph.notes.append(f"{name}: its code cannot be followed; it counts as made of all that it may read")
    for step in steps.values():
        kind = "feature" if step.table == FEATURES else step.table.partition(".")[0]
        _add_table(graph, step.table, kind, step.made)
    features = next((step.made for step in steps.values() if step.table == FEATURES), None)
    if others := source_features.followed(project, tables, features):
        _add_table(graph, source_features.TABLE, "feature", others)
    for name, made in findings.items():
        _add_table(graph, name, "gold", made)
    _add_outcomes(graph)
    graph.add(Node(SCORES, "score", True))
    graph.connect([FEATURES], SCORES, ROWS)
    for model in models:
        add_model(graph, model)
    _name_the_unlisted(graph)
    return graph


def _add_source(graph: Graph, contract: Contract) -> None:
    prefix = contract.id.partition("__")[0]
    feed = contract.feed
    facts = {
        "contract": contract.id,
        "system": feed.connection if feed else prefix,
        "department": feed.department if feed else prefix,
        "delivered": f"{feed.protocol} {feed.path}" if feed else f"files {contract.file_pattern}",
    }
    graph.add(Node(contract.id, "source", True, facts))
    for column in contract.columns:
        own = {"field": column.source_name, "classification": column.classification}
        graph.add(Node(f"{contract.id}.{column.name}", "source", False, facts | own))


def _add_table(graph: Graph, name: str, kind: str, made: Relation) -> None:
    graph.add(Node(name, kind, True))
    graph.connect(made.rows, name, ROWS)
    for column, value in made.columns.items():
        graph.add(Node(f"{name}.{column}", kind))
        graph.connect(value.computed, f"{name}.{column}", VALUE)
        graph.connect(value.decided_by, f"{name}.{column}", ROWS)


def _add_outcomes(graph: Graph) -> None:
    """Who turned bad: the columns that `ml/labels.py` is given."""
    from ml import tables_io

    read = {"silver.loan": tables_io.LOAN_COLUMNS, "silver.credit_record": tables_io.RECORD_COLUMNS}
    graph.add(Node(OUTCOMES, "outcome", False, {"made by": "ml/labels.py"}))
    for table, columns in read.items():
        if table in graph.nodes:
            graph.connect((f"{table}.{column}" for column in columns), OUTCOMES, VALUE)
            graph.connect([table], OUTCOMES, ROWS)


def add_model(graph: Graph, model: ModelInputs) -> None:
    """A model: the features it takes, those that decide whether it scores at all, and the outcomes it learned from."""
    facts = {"inputs by": model.told_by} | ({"in office as": ", ".join(model.aliases)} if model.aliases else {})
    graph.add(Node(model.id, "model", False, facts))
    graph.connect((f"{FEATURES}.{name}" for name in model.features), model.id, VALUE)
    graph.connect([FEATURES, *(f"{FEATURES}.{name}" for name in model.deciding)], model.id, ROWS)
    graph.connect([OUTCOMES], model.id, OUTCOME)
    if model.id != model.name:
        graph.add(Node(model.name, "model"))
        graph.connect([model.id], model.name, VALUE)
    graph.connect([model.name], SCORES, VALUE)


def _name_the_unlisted(graph: Graph) -> None:
    """Nodes for what something reads and nobody lists; such a column is made of whatever its table is made of."""
    told = set(graph.nodes)
    for name in sorted({edge.source for edge in graph.edges} - told):
        layer, table = name.partition(".")[0], name.rpartition(".")[0]
        kind = layer if layer in KINDS else "source"
        is_table = name.count(".") == (0 if kind == "source" else 1)
        graph.add(Node(name, kind, is_table))
        for unknown in {name if is_table else table} - told:
            graph.add(Node(unknown, kind, True))
            told.add(unknown)
            graph.notes.append(f"{unknown} is read, and nothing says what it is made of")
        if not is_table:
            graph.connect([table], name, VALUE)
