"""`vinelake lineage`: where a column comes from and where it goes, and what must not reach a model."""

from __future__ import annotations

import json
from typing import Any

import click

from lakehouse.cli.output import json_option
from lakehouse.settings import get_settings


@click.command()
@click.argument("column")
@click.option("--up", "direction", flag_value="up", help="Only what the column comes from.")
@click.option("--down", "direction", flag_value="down", help="Only where the column goes.")
@click.option("--rows", is_flag=True, help="Follow, too, what only decides which rows count: filters, joins, keys.")
@click.option(
    "--forbid",
    metavar="WORD",
    help="A contract, system, department or classification: end with 1 if any of it reaches COLUMN.",
)
@click.option("--outcomes", is_flag=True, help="With --forbid: count ways by the outcomes that a model learned from.")
@click.option("--models/--no-models", default=True, help="Ask the registry which features its models take.")
@json_option
def lineage(
    column: str, direction: str | None, rows: bool, forbid: str | None, outcomes: bool, models: bool, as_json: bool
) -> None:
    """Show where COLUMN comes from and where it goes, or check that something does not reach it.

    COLUMN is contract.field, bronze.TABLE.COLUMN, silver.TABLE.COLUMN, gold.TABLE.COLUMN, a feature's name, a model or
    model.version. All is told by contracts, code and SQL as they stand; nothing is run. What a model takes is read from
    the registered signature where the tracking server answers, else from the candidate features, which is said.
    """
    from lineage import tree
    from lineage.graph import ROWS, VALUE

    graph, reason = _graph(column, models)
    start = graph.find(column)
    for note in [*([f"the registry of models was not asked: {reason}"] if reason else []), *graph.notes]:
        click.echo(note, err=True)
    if forbid:
        _check(graph, forbid, start.id, outcomes, as_json)
        return
    kinds = (VALUE, ROWS) if rows or start.is_table else (VALUE,)
    if as_json:
        told = tree.as_json(graph, start.id, direction != "down", direction != "up", kinds)
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _print(tree.label(start))
    for wanted, upwards in (("up", True), ("down", False)):
        if direction in (None, wanted):
            _print(tree.tree(graph, start.id, upwards, kinds))
    if direction != "up" and start.kind != "score":
        _print("\n".join(tree.told_by(graph)))


def _graph(column: str, ask: bool) -> tuple[Any, str | None]:
    """The graph with its models, and why the registry was not asked where it was not."""
    from lineage import models, store

    project, number = get_settings().project_dir, column.rpartition(".")[2]
    if ask:
        found, reason = models.known(project, [number] if number.isdigit() else [])
    else:
        found, reason = [models.candidates(project)], None
    return store.project_graph(found), reason


def _check(graph: Any, word: str, target: str, outcomes: bool, as_json: bool) -> None:
    """Tells what of a forbidden word reaches the target; ends with 1 if anything does."""
    from lineage import forbidden, tree

    ways = forbidden.reaching(graph, word, target, outcomes)
    for way in ways if as_json else ways[:1]:
        edges = [{"from": e.source, "to": e.target, "kind": e.kind} for e in way.edges]
        told = {"source": way.source, "target": target, "edges": edges}
        click.echo(json.dumps(told, ensure_ascii=False) if as_json else forbidden.text(graph, way))
    if len(ways) > 1 and not as_json:
        click.echo(f"as do {', '.join(way.source for way in ways[1:])}")
    if graph.nodes[target].kind == "model":
        click.echo("\n".join(tree.told_by(graph)), err=True)
    if ways:
        click.echo(f"{len(ways)} of {word} reach {target}", err=True)
        raise SystemExit(1)
    click.echo(f"nothing of {word} reaches {target}", err=as_json)
    if not outcomes and (told_by := forbidden.reaching(graph, word, target, outcomes=True)):
        named = ", ".join(way.source for way in told_by[:4])
        click.echo(f"note: {word} tells outcomes that it learned from ({named}); --outcomes counts that", err=True)


def _print(shown: Any) -> None:
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 400, highlight=False, markup=False).print(
        shown, soft_wrap=not sys.stdout.isatty()
    )
