"""A demo on files: a lender's own invoices, or the built-in portfolio in the same format."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console

from lakehouse.demo import place, steps
from lakehouse.demo.watch import Route


def run(console: Console, invoices: Path | None, received: date | None, firms: int, ask: bool) -> None:
    """Takes one drop of files through the chain."""
    phases: steps.Phases = []
    if invoices:
        drop, generator = place.real_drop(invoices, received, date.today()), None
        place.enter("invoices")
        what = str(drop.folder)
    else:
        place.enter("demo")
        drop = place.built_in_drop(firms, received)
        generator = place.start_generator(drop, firms)
        what = f"built-in portfolio of {firms:,} enterprises"
    told = f"[bold]vinelake demo[/]  {what}, received on {drop.partition} ({drop.reason})"
    console.print(told, highlight=False, soft_wrap=True)
    with steps.phase(phases, "services"):
        steps.services(console)
    if generator:
        with steps.phase(phases, "files"), console.status("writing the built-in portfolio"):
            written = place.finish_generator(generator, drop)
            console.print(f"  built-in portfolio: {written}", highlight=False, soft_wrap=True)
    if remark := place.deliver(drop):
        console.print(f"  [yellow]note[/] {remark}", highlight=False, soft_wrap=True)
    with steps.phase(phases, "chain"):
        watch = steps.follow(console, drop.partition, Route(), ask)
    steps.finish(console, watch, phases)
