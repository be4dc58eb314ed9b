"""Measures identity against the truth, and trains its model: `python tests/grader/identity_measure.py --help`.

A world is a folder of `vinelake economy generate`; a region is made here, without an economy, of any number of firms.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
import identity_region  # noqa: E402
from identity_world import first_day, judge, shown  # noqa: E402

from grader.truth import World  # noqa: E402
from spark_jobs.identity import ledger, training  # noqa: E402


@click.group()
def main() -> None:
    """Identity against the truth."""


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints seconds of the clock and of the processor, and the most memory so far."""
    begun, used = time.monotonic(), time.process_time()
    yield
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    click.echo(f"{what}: {time.monotonic() - begun:.1f} s, {time.process_time() - used:.1f} CPU s, {memory:.1f} GB")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def measure(folder: Path) -> None:
    """Precision and recall as of each year's end, and the pairs that a day of 1 % new rows compares."""
    world, told = World.open(folder), shown(folder)
    with timed(f"{told.rows.num_rows:,} rows at once"):
        built = ledger.build(told.rows, told.changes)
    click.echo(f"mentions {built.mention.num_rows:,}, compared {built.compared:,}, kept {built.pair.num_rows:,}, "
               f"keys {len(built.key.group_by(['system', 'department', 'key']).aggregate([])):,}, "
               f"review {built.review.num_rows:,}")  # fmt: skip
    for year in range(first_day(folder).year, world.last_day.year + 1):
        day = min(date(year, 12, 31), world.last_day)
        for kind, (precision, recall) in judge(world, built, day).items():
            click.echo(f"{day} {kind}: precision {precision.value:.5f} of {precision.of:,}, "
                       f"recall {recall.value:.5f} of {recall.of:,}")  # fmt: skip
    new = pa.array(np.random.default_rng(2).random(told.rows.num_rows) < 0.01)
    before = ledger.build(told.rows.filter(pc.invert(new)), told.changes)
    with timed(f"a day of {pc.sum(new).as_py():,} rows"):
        day = ledger.build(told.rows.filter(new), told.changes, before=before)
    click.echo(f"compared {day.compared:,} of {built.compared:,}; links as at once: {day.link.equals(built.link)}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--firms", default=1_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def region(folder: Path, firms: int, seed: int) -> None:
    """Writes a region of firms without an economy."""
    with timed(f"{firms:,} firms"):
        identity_region.write(folder, firms, seed)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def train(folder: Path) -> None:
    """Trains the model on a world's rows and writes it where builds read it."""
    told = shown(folder)
    training.save(training.train(told.rows, told.changes))


if __name__ == "__main__":
    main()
