"""A column's lineage as a tree that a person can read, and as nodes and edges for machines."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rich.text import Text
from rich.tree import Tree

from lineage.graph import OUTCOME, ROWS, VALUE, Edge, Graph, Node

MARKS = {VALUE: "", ROWS: "by rows: ", OUTCOME: "outcomes: "}


def tree(graph: Graph, start: str, upwards: bool, kinds: Collection[str] = (VALUE,)) -> Tree:
    """What a node is made of, or what is made of it. A line with arrows is a way without a fork.

    What stands further up in the tree already is named, and not repeated.
    """
    root = Tree(Text("comes from" if upwards else "goes to", style="bold"), highlight=False)
    seen = {start}
    _grow(root, graph, start, upwards, kinds, seen)
    if not root.children:
        root.add(Text("nothing that is known here"))
    return root


def _next(graph: Graph, node: str, upwards: bool, kinds: Collection[str]) -> list[tuple[str, Edge]]:
    edges = graph.parents(node, kinds) if upwards else graph.children(node, kinds)
    return [(edge.source if upwards else edge.target, edge) for edge in edges]


def _grow(branch: Tree, graph: Graph, node: str, upwards: bool, kinds: Collection[str], seen: set[str]) -> None:
    for name, edge in _next(graph, node, upwards, kinds):
        line = Text(MARKS[edge.kind], style="dim").append(label(graph.nodes[name]), style="default")
        if name in seen:
            branch.add(line.append(" (above)", style="dim") if _next(graph, name, upwards, kinds) else line)
            continue
        seen.add(name)
        while len(further := _next(graph, name, upwards, kinds)) == 1 and further[0][0] not in seen:
            name, edge = further[0]
            seen.add(name)
            line.append(" ← " if upwards else " → ", style="dim").append(MARKS[edge.kind], style="dim")
            line.append(label(graph.nodes[name]))
        _grow(branch.add(line), graph, name, upwards, kinds, seen)


def label(node: Node) -> str:
    """A node on one line: its id, and of a source's field or a model what is known of it."""
    facts = node.facts
    if node.kind == "source" and not node.is_table and facts:
        where = " ▸ ".join(dict.fromkeys((facts["system"], facts["department"])))
        return f"{node.id} ({where}, field {facts['field']}, {facts['classification']})"
    if node.kind == "source" and facts:
        return f"rows of {node.id} ({facts['system']} ▸ {facts['department']})"
    if node.is_table:
        return node.id if node.kind == "score" else f"rows of {node.id}"
    if node.kind == "model" and "in office as" in facts:
        return f"{node.id} ({facts['in office as']})"
    return node.id


def told_by(graph: Graph) -> list[str]:
    """For each model that is in the graph, where its inputs are known from."""
    models = [n for n in graph.nodes.values() if n.kind == "model" and "inputs by" in n.facts]
    return [f"{label(node)}: inputs by {node.facts['inputs by']}" for node in sorted(models, key=lambda n: n.id)]


def as_json(graph: Graph, start: str, up: bool, down: bool, kinds: Collection[str] = (VALUE,)) -> dict[str, Any]:
    """The part of the graph above or below a node: `column`, `nodes` and `edges`, each in order."""
    reached = {start}
    reached |= set(graph.above([start], kinds)) if up else set()
    below = set(graph.below([start], kinds)) if down else set()
    nodes = [graph.nodes[name] for name in sorted(reached | below)]
    edges = [
        e
        for e in graph.edges
        if e.kind in kinds and ({e.source, e.target} <= reached or {e.source, e.target} <= below | {start})
    ]
    return {
        "column": start,
        "nodes": [{"id": n.id, "kind": n.kind, "rows": n.is_table, **dict(sorted(n.facts.items()))} for n in nodes],
        "edges": [{"from": e.source, "to": e.target, "kind": e.kind} for e in edges],
    }
