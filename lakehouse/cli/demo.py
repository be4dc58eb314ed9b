"""`vinelake demo run` and `vinelake demo summary`: the main job from received files to a scored portfolio."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape


@click.group()
def demo() -> None:
    """Run the main job and show what came of it."""


@demo.command()
@click.option("--invoices", type=click.Path(path_type=Path), help="Folder of real files; built-in portfolio otherwise.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Date on which the files were received.")
@click.option("--firms", default=2000, show_default=True, help="Enterprises of the built-in portfolio.")
@click.option("--ask", is_flag=True, help="Leave the approval of the model to you, in the browser.")
def run(invoices: Path | None, as_of: datetime | None, firms: int, ask: bool) -> None:
    """Take a drop of files through the whole chain of DAGs and leave everything open to look at."""
    from lakehouse.demo import show, summary

    console, phases = Console(), []
    drop, generator = _prepare(console, invoices, as_of, firms)
    with _phase(phases, "services"):
        _services(console)
    if generator:
        with _phase(phases, "files"), console.status("writing the built-in portfolio"):
            told = _finish(generator, drop)
            console.print(f"  built-in portfolio: {told}", highlight=False, soft_wrap=True)
    with _phase(phases, "chain"):
        watch = _chain(console, drop, ask)
    with _phase(phases, "summary"), console.status("reading what was published"):
        facts = summary.collect(drop.partition)
    show.summary(console, facts)
    if watch.refused:
        refusal = f"[yellow]The promotion gate refused the candidate:[/]\n{escape(watch.refused)}\n"
        console.print(refusal, highlight=False, soft_wrap=True)
    _places(console)
    show.seconds(console, phases)
    if watch.refused and not facts["portfolio"]:
        raise SystemExit(1)


@demo.command("summary")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Date of the drop; the newest otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures for machines.")
def summary_command(as_of: datetime | None, as_json: bool) -> None:
    """Show what is published: rows, gates, features, model, portfolio."""
    from lakehouse.demo import show, summary

    facts = summary.collect(as_of.date().isoformat() if as_of else None)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return
    console = Console()
    show.summary(console, facts)
    _places(console)
    console.print()


@contextlib.contextmanager
def _phase(phases: list[tuple[str, float]], name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    phases.append((name, time.monotonic() - begun))


def _prepare(console: Console, invoices: Path | None, as_of: datetime | None, firms: int) -> tuple[Any, Any]:
    """Chooses the lakehouse and the drop, and starts the generator where its files are missing."""
    from lakehouse.demo import place

    received = as_of.date() if as_of else None
    if invoices:
        drop, generator = place.real_drop(invoices, received, date.today()), None
        place.enter("invoices")
        what = str(drop.folder)
    else:
        place.enter("demo")
        drop = place.built_in_drop(firms, received)
        generator = place.start_generator(drop, firms)
        what = f"built-in portfolio of {firms:,} enterprises"
    console.print(
        f"[bold]vinelake demo[/]  {what}, received on {drop.partition} ({drop.reason})",
        highlight=False,
        soft_wrap=True,
    )
    return drop, generator


def _services(console: Console) -> None:
    from lakehouse.services import stack

    with console.status("starting services; the first time takes a minute"):
        stack.up(lambda name, took: console.print(f"  {name:<12} up in {took:.0f} s", highlight=False))


def _finish(generator: Any, drop: Any) -> str:
    from lakehouse.demo import place

    return place.finish_generator(generator, drop)


def _chain(console: Console, drop: Any, ask: bool) -> Any:
    """Delivers the drop and follows it through Airflow to its end."""
    from lakehouse.demo import place, show
    from lakehouse.demo.watch import CHAIN, Watch, take_up
    from lakehouse.services import airflow
    from lakehouse.time import utc_now

    if remark := place.deliver(drop):
        console.print(f"  [yellow]note[/] {remark}", highlight=False, soft_wrap=True)
    api = airflow.client()
    with console.status("Airflow reads the DAGs"):
        api.wait_for_dags(list(CHAIN))
    for dag_id in CHAIN:
        api.unpause(dag_id)
    since = utc_now()
    newest, unfinished = take_up(api, drop.partition)
    if unfinished:
        console.print(f"  going on with {len(unfinished)} runs that had not ended", highlight=False)
    started = None
    if not any(run["dag_run_id"] in unfinished for run in api.runs("ingest_file_drop", drop.partition)):
        started = api.trigger("ingest_file_drop", drop.partition, note="started by `vinelake demo run`")
    with show.Progress(console, since) as progress:
        answer = None if ask else partial(_approve, progress)
        watch = Watch(
            api,
            drop.partition,
            since,
            airflow.home() / "logs",
            progress.changed,
            progress.tick,
            answer,
            newest,
        )
        seen = watch.follow()
    if any((task.run_id, task.task_id, task.state) == (started, "land", "skipped") for task in seen):
        console.print("  0 new batches: nothing to do downstream", highlight=False)
    return watch


def _approve(progress: Any, dag_id: str, run_id: str, task_id: str) -> None:
    """Answers the approval as the demo's second identity, over the interface a person uses, and says so."""
    from lakehouse.services import airflow
    from lakehouse.settings import get_settings

    settings = get_settings()
    progress.say(
        f"[cyan]?[/] {dag_id} waits for a person. This demo is unattended, so it answers as its second identity "
        f"[bold]{settings.approver}[/], over the same interface; the author, {settings.author}, would be refused."
    )
    comment = "Approved by the unattended demo, as its second identity; use for demonstration only."
    airflow.client(settings.approver).answer(dag_id, run_id, task_id, "Approve", {"comment": comment})


def _places(console: Console) -> None:
    from lakehouse.demo import show
    from lakehouse.services import airflow, stack
    from lakehouse.settings import get_settings

    settings = get_settings()
    pages = stack.addresses() | {"gate reports": (settings.reports_dir / "index.html").as_uri()}
    show.places(console, pages, (settings.author, settings.approver), str(airflow.passwords_file()))
