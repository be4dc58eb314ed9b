"""The steps of a demo that are the same whatever it runs on: services up, a day followed through Airflow, pages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rich.console import Console
from rich.markup import escape

from lakehouse import families
from lakehouse.demo import show, summary
from lakehouse.demo.watch import Route, Watch, take_up
from lakehouse.services import airflow, stack
from lakehouse.settings import get_settings
from lakehouse.time import utc_now

Phases = list[tuple[str, float]]


@contextlib.contextmanager
def phase(phases: Phases, name: str) -> Iterator[None]:
    """Notes how long a step took."""
    begun = time.monotonic()
    yield
    phases.append((name, time.monotonic() - begun))


def services(console: Console) -> None:
    """Starts what does not run, telling each service as it comes."""
    with console.status("starting services; the first time takes a minute"):
        stack.up(lambda name, took: console.print(f"  {name:<12} up in {took:.0f} s", highlight=False))


def pulled() -> tuple[str, ...]:
    """The DAGs that pull: one a connection that contracts name."""
    found = families.families(families.outlines(get_settings().contracts_dir))
    return tuple(f"ingest_{family.connection}" for family in found)


def follow(
    console: Console, partition: str, route: Route, ask: bool, prepare: Callable[[], None] | None = None
) -> Watch:
    """Starts the DAGs that bring in a day, takes up what an earlier run left, and follows all of it to its end.

    `prepare` is called once Airflow has read the DAGs, before anything is started. With `ask` a person approves the
    model in the browser; without, the demo answers as its second identity.
    """
    api = airflow.client()
    with console.status("Airflow reads the DAGs"):
        api.wait_for_dags(list(route.dags))
    for dag_id in route.dags:
        api.unpause(dag_id)
    if prepare:
        prepare()
    since = utc_now()
    newest, unfinished = take_up(api, partition, route)
    if unfinished:
        console.print(f"  going on with {len(unfinished)} runs that had not ended", highlight=False)
    started = set()
    for dag_id in route.begins:
        if not any(run["dag_run_id"] in unfinished for run in api.runs(dag_id, partition)):
            started.add(api.trigger(dag_id, partition, note="started by `vinelake`"))
    with show.Progress(console, since) as progress:
        answer = None if ask else partial(_approve, progress)
        watch = Watch(
            api,
            partition,
            since,
            airflow.home() / "logs",
            progress.changed,
            progress.tick,
            answer,
            newest,
            route,
        )
        seen = watch.follow()
    if started and nothing_new(seen, started, watch):
        console.print("  0 new batches: nothing to do downstream", highlight=False)
    return watch


@contextlib.contextmanager
def bronze_held() -> Iterator[Callable[[], None]]:
    """Yields what keeps bronze from being built, to be called as `prepare`; it may be built again after the block."""
    api = airflow.client()
    try:
        yield partial(api.pause, "build_bronze")
    finally:
        api.unpause("build_bronze")


def nothing_new(seen: list[Any], started: set[str], watch: Watch) -> bool:
    """Whether what was started brought nothing that was not published before."""
    first = [t for t in seen if t.run_id in started and t.task_id == "land"]
    bronze = [
        t
        for t in seen
        if (t.dag_id, t.task_id) == ("build_bronze", "build")
        and t.run_id in watch.runs
        and t.run_id not in watch.taken_up
    ]
    asked = first or bronze
    return bool(asked) and all(task.state == "skipped" for task in asked)


def _approve(progress: show.Progress, dag_id: str, run_id: str, task_id: str) -> None:
    """Answers the approval as the demo's second identity, over the interface a person uses, and says so."""
    settings = get_settings()
    progress.say(
        f"[cyan]?[/] {dag_id} waits for a person. This demo is unattended, so it answers as its second identity "
        f"[bold]{settings.approver}[/], over the same interface; the author, {settings.author}, would be refused."
    )
    comment = "Approved by the unattended demo, as its second identity; use for demonstration only."
    airflow.client(settings.approver).answer(dag_id, run_id, task_id, "Approve", {"comment": comment})


def places(console: Console, more: dict[str, str] | None = None) -> None:
    """Where every page is, and who may log in."""
    settings = get_settings()
    pages = stack.addresses() | {"gate reports": (settings.reports_dir / "index.html").as_uri()} | (more or {})
    show.places(console, pages, (settings.author, settings.approver), str(airflow.passwords_file()))


def finish(console: Console, watch: Watch, phases: Phases, pages: dict[str, str] | None = None) -> None:
    """Prints the summary, remarks, pages and times."""
    with phase(phases, "summary"), console.status("reading what was published"):
        facts = summary.collect(watch.partition)
    show.summary(console, facts)
    for remark in watch.remarks.values():
        console.print(f"[yellow]note[/] {escape(remark)}", highlight=False, soft_wrap=True)
    if watch.refused:
        refusal = f"[yellow]There is no new champion.[/]\n{escape(watch.refused)}\n"
        console.print(refusal, highlight=False, soft_wrap=True)
    places(console, pages)
    show.seconds(console, phases)
