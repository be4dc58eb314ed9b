"""Whether anything of a department, a system, a contract or a classification reaches a model, and by which way."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lineage.graph import OUTCOME, ROWS, VALUE, Edge, Graph, Node

BY = ("contract", "system", "department", "classification")


@dataclass(frozen=True)
class Way:
    """A shortest way from a source's field (or from which rows a source has) to what must not be reached."""

    edges: tuple[Edge, ...]

    @property
    def source(self) -> str:
        """Where it begins."""
        return self.edges[0].source


def text(graph: Graph, way: Way) -> str:
    """A way that a person can read, a step a line."""
    steps = [way.source]
    for edge in way.edges:
        rows = "decides the rows of" if graph.nodes[edge.target].is_table else "decides which rows count in"
        told = {VALUE: "", ROWS: f"{rows} ", OUTCOME: "tells the outcomes of "}[edge.kind]
        steps.append(f"→ {told}{edge.target}")
    return "\n  ".join(steps)


def words(graph: Graph) -> list[str]:
    """Everything that can be forbidden by name."""
    return sorted({node.facts[by] for node in graph.nodes.values() for by in BY if by in node.facts})


def is_of(node: Node, word: str) -> bool:
    """Whether a node is a field or the rows of a source that the word names."""
    return node.kind == "source" and word in {node.facts.get(by) for by in BY}


def reaching(graph: Graph, word: str, target: str, outcomes: bool = False) -> list[Way]:
    """The ways from all that `word` names to a column or model; empty where nothing of it arrives.

    Ways by which a column only decides which rows count are among them. With `outcomes`, so are ways by which it tells
    who turned bad when the model was trained. A ConfigError for a word that no contract knows.
    """
    if word not in (known := words(graph)):
        close = difflib.get_close_matches(word, known, n=4, cutoff=0.5)
        raise ConfigError(
            f"no contract, system, department or classification is called {word!r}",
            remedy=f"did you mean {', '.join(close)}?" if close else f"one of {', '.join(known)}",
        )
    kinds = (VALUE, ROWS, OUTCOME) if outcomes else (VALUE, ROWS)
    above = graph.above([graph.find(target).id], kinds)
    found = [_way(above, node) for node in sorted(above) if is_of(graph.nodes[node], word)]
    return sorted((way for way in found if way.edges), key=lambda way: (len(way.edges), way.source))


def _way(above: dict[str, Edge | None], node: str) -> Way:
    edges = []
    while (edge := above[node]) is not None:
        edges.append(edge)
        node = edge.target
    return Way(tuple(edges))
