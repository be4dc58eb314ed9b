"""A demo on the simulated economy: a world, its source systems, and a day pulled from all of them.

The systems are programs of their own and are spoken to as any client would; the world's hidden truth is not read.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from rich.console import Console

from lakehouse.demo import place, steps
from lakehouse.demo.watch import Route
from lakehouse.errors import ConfigError
from lakehouse.services import airflow, source_world
from lakehouse.services.source_world import World

# Where the consents are: applications at the bank, and the registry that knows who applied.
APPLICATIONS = ("core_bank", "government__business_registry")


def world(firms: int | None, years: int | None) -> World:
    """The world of a demo; its size can be chosen."""
    given = {name: value for name, value in (("firms", firms), ("years", years)) if value}
    return World(**given)


def run(console: Console, chosen: World, ask: bool) -> None:
    """Generates the world where it is missing, starts its systems, and takes their today through the chain.

    Repeated, it pulls again and finds nothing new.
    """
    phases: steps.Phases = []
    place.enter("economy")
    console.print(
        f"[bold]vinelake demo[/]  a simulated economy of {chosen.firms:,} enterprises over {chosen.years} years, "
        "behind its source systems",
        highlight=False,
        soft_wrap=True,
    )
    fetching, generator = source_world.start_fetching(), source_world.start_generating(chosen)
    with steps.phase(phases, "services"):
        steps.services(console)
    if generator:
        with steps.phase(phases, "world"), console.status("simulating the economy, day by day"):
            source_world.finish_generating(generator, chosen)
            console.print("  the economy is simulated", highlight=False)
    with steps.phase(phases, "sources"), console.status("loading and starting the source systems"):
        fetching.wait()  # what failed is tried again by the systems, and told
        systems = source_world.start_systems(chosen, lambda line: _told(console, line))
    _day(console, systems, phases, ask)


def advance(console: Console, days: int, ask: bool) -> None:
    """Lets days pass in the world that runs, and takes its new today through the chain."""
    phases: steps.Phases = []
    place.enter("economy")
    systems = source_world.status()
    if not source_world.is_up(systems):
        raise ConfigError("the source systems do not run", remedy="run `make demo` first")
    with steps.phase(phases, "services"):
        steps.services(console)
    with steps.phase(phases, "sources"), console.status("days pass in the simulated economy"):
        systems = source_world.advance(days, lambda line: _told(console, line))
    _day(console, systems, phases, ask)


def _day(console: Console, systems: dict[str, Any], phases: steps.Phases, ask: bool) -> None:
    """Pulls the systems' today and follows it to the scores.

    The first time, applications up to the day before come in by themselves, up to bronze: they hold the consents
    without which the credit bureau may not be asked about anybody.
    """
    source_world.write_connections()
    today = date.fromisoformat(str(systems["today"]))
    if not _knows_applications(str(today)):
        with steps.phase(phases, "consents"):
            _take_in_applications(console, str(today - timedelta(days=1)))
    with steps.phase(phases, "chain"):
        watch = steps.follow(console, str(today), Route(steps.pulled()), ask)
    steps.finish(console, watch, phases, systems["addresses"])


def _knows_applications(today: str) -> bool:
    """Whether bronze was built of an earlier day."""
    earlier = (run for run in airflow.client().runs("build_bronze") if (run.get("partition_key") or today) < today)
    return any(run["state"] == "success" for run in earlier)


def _take_in_applications(console: Console, day: str) -> None:
    """Applications and registry up to a day into bronze, and from there the consents into their register.

    Silver is held meanwhile; following the day itself lets it go on.
    """
    console.print("  applications first: they hold the consents to ask the credit bureau", highlight=False)
    source_world.pull(APPLICATIONS, day)
    steps.follow(
        console, day, Route(("build_bronze",), ()), ask=True, prepare=lambda: airflow.client().pause("build_silver")
    )


def _told(console: Console, line: str) -> None:
    console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
