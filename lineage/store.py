"""The graph of this project, kept beside its data while the texts that it was read from stay the same.

Reading all contracts, code and models takes seconds; a task that tells what it published must not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from lakehouse import contracts
from lakehouse.settings import get_settings
from lineage import graph as graphs
from lineage.graph import Edge, Graph, Node
from lineage.models import ModelInputs

# What the graph is read from, and what reads it.
TEXTS = (
    "contracts/*.yaml", "dbt_project/dbt_project.yml", "dbt_project/macros/**/*.sql", "dbt_project/models/**/*.sql",
    "dbt_project/source_features/*.yaml", "dbt_project/contradictions/*.yaml", "dbt_project/contradictions/*/*.sql",
    "lakehouse/known.py",
    "spark_jobs/**/*.py", "lakehouse/contracts.py", "lakehouse/feeds.py", "lakehouse/records.py", "ml/tables_io.py",
    "lineage/*.py",
)  # fmt: skip


def project_graph(models: Iterable[ModelInputs] = ()) -> Graph:
    """The graph of this project with the given models: as kept, where nothing changed since, else read anew."""
    settings = get_settings()
    file, digest = settings.home / "lineage" / "graph.json", _digest(settings.project_dir)
    graph = _kept(file, digest)
    if graph is None:
        graph = graphs.build(contracts.load_all(settings.contracts_dir), settings.project_dir)
        with contextlib.suppress(OSError):  # it is read anew next time
            _keep(file, digest, graph)
    for model in models:
        graphs.add_model(graph, model)
    return graph


def folder() -> Path:
    """Where the events of this lakehouse are kept."""
    settings = get_settings()
    return settings.home / "lineage" / (settings.environment or "main")


def _digest(project: Path) -> str:
    found = hashlib.sha256()
    for pattern in TEXTS:
        for path in sorted(project.glob(pattern)):
            found.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _kept(file: Path, digest: str) -> Graph | None:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        if held["digest"] != digest:
            return None
        graph = Graph()
        graph.notes = list(held["notes"])
        for name, kind, is_table, facts in held["nodes"]:
            graph.add(Node(name, kind, is_table, facts))
        for source, target, kind in held["edges"]:
            graph.put(Edge(source, target, kind))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return graph


def _keep(file: Path, digest: str, graph: Graph) -> None:
    nodes = [[n.id, n.kind, n.is_table, dict(n.facts)] for n in graph.nodes.values()]
    edges = [[e.source, e.target, e.kind] for e in graph.edges]
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(f".{os.getpid()}")
    held = {"digest": digest, "notes": graph.notes, "nodes": nodes, "edges": edges}
    aside.write_text(json.dumps(held, ensure_ascii=False), encoding="utf-8")
    aside.replace(file)
