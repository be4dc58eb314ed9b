"""OpenLineage events: what each published table was made of, column by column, as lines of JSON beside the data.

Names, versions and dates alone are told, never a value. An event's run follows from table and version, so that a
publication told twice is one run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from lakehouse.settings import get_settings
from lakehouse.time import utc_now
from lineage import store
from lineage.graph import ROWS, VALUE, Graph, Node

PRODUCER = "https://vinelake.invalid/lineage"  # OpenLineage asks for a URI; this one leads nowhere
# Steps of dbt that are in no table are passed through.
PASSED = "dbt"


def published(changed: Mapping[str, int], job: str, partition: str) -> None:
    """Writes an event for every table that a job published; a listener of `lakehouse.publications`."""
    from openlineage.client.transport.file import FileConfig, FileTransport

    now, graph = utc_now(), store.project_graph()
    file = store.folder() / f"{now:%Y-%m-%d}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    transport = FileTransport(FileConfig(log_file_path=str(file), append=True))
    for table, version in sorted(changed.items()):
        transport.emit(event(graph, table, version, job, partition, now))
    _forget(file.parent, f"{now - timedelta(days=get_settings().retention_days):%Y-%m-%d}")


def event(graph: Graph, table: str, version: int, job: str, partition: str, now) -> Any:
    """The event of one table: inputs, and of each column of its own the columns that it is computed from.

    What only decides which rows count is told of the table as a whole.
    """
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import dataset_version_dataset, nominal_time_run, schema_dataset

    namespace = _namespace()
    facets: dict[str, Any] = {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version))}
    names = [name.rpartition(".")[2] for name in graph.columns(table)]
    if names:
        fields = [schema_dataset.SchemaDatasetFacetFields(name) for name in names]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
        facets["columnLineage"] = _columns(graph, table)
    run = {"nominalTime": nominal_time_run.NominalTimeRunFacet(f"{partition}T00:00:00+08:00")} if partition else {}
    return RunEvent(
        eventTime=now.isoformat(),
        eventType=RunState.COMPLETE,
        producer=PRODUCER,
        run=Run(
            str(uuid.uuid5(uuid.NAMESPACE_URL, f"{get_settings().warehouse_dir}/{namespace}/{table}@{version}")), run
        ),
        job=Job(namespace, f"{job}.{table}"),
        inputs=[InputDataset(*name) for name in inputs(graph, table)],
        outputs=[OutputDataset(namespace, table, facets=facets)],
    )


def inputs(graph: Graph, table: str) -> list[tuple[str, str]]:
    """(namespace, name) of what a table is made of: sources of bronze, or other tables."""
    starts = [table, *graph.columns(table)] if table in graph.nodes else []
    nodes = (graph.nodes[name] for name in _made_of(graph, starts, (VALUE, ROWS)))
    return sorted({_dataset(node) for node in nodes} - {_dataset(graph.nodes[table])} if starts else set())


def _columns(graph: Graph, table: str) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as facet

    def fields(names: Iterable[str], kind: str) -> list[Any]:
        nodes = sorted((n for n in map(graph.nodes.get, names) if n and not n.is_table), key=lambda n: n.id)
        return [
            facet.InputField(*_dataset(n), n.id.rpartition(".")[2], [facet.Transformation(type=kind)]) for n in nodes
        ]

    computed = {name: set(_made_of(graph, [name], (VALUE,))) for name in graph.columns(table)}
    deciding = set(_made_of(graph, [table, *computed], (VALUE, ROWS))) - set().union(*computed.values())
    return facet.ColumnLineageDatasetFacet(
        fields={name.rpartition(".")[2]: facet.Fields(fields(found, "DIRECT")) for name, found in computed.items()},
        dataset=fields(deciding, "INDIRECT"),
    )


def _made_of(graph: Graph, starts: Iterable[str], kinds: tuple[str, ...]) -> Iterator[str]:
    """The nearest tables' columns and rows that nodes are made of."""
    waiting, seen = list(starts), set(starts)
    while waiting:
        for edge in graph.parents(waiting.pop(), kinds):
            if edge.source in seen:
                continue
            seen.add(edge.source)
            if graph.nodes[edge.source].kind == PASSED:
                waiting.append(edge.source)
            else:
                yield edge.source


def _dataset(node: Node) -> tuple[str, str]:
    """OpenLineage's name of the data set that a node belongs to."""
    if node.kind == "source":
        return f"source.{node.facts.get('system', 'unknown')}", node.facts.get("contract", node.id)
    return _namespace(), node.id if node.is_table else node.id.rpartition(".")[0]


def _namespace() -> str:
    environment = get_settings().environment
    return f"vinelake.{environment}" if environment else "vinelake"


def _forget(folder: Path, before: str) -> None:
    """Removes the events of days before a date."""
    for old in folder.glob("????-??-??.jsonl"):
        if old.stem < before:
            old.unlink(missing_ok=True)
