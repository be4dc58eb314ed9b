"""Measures contradictions against the truth: `python tests/grader/contradiction_measure.py --help`.

A world is a folder of `vinelake economy generate`. Its silver is made once, beside it, by the systems' own queries
(`contradiction_world`); detectors run on it in DuckDB, by the statements that the engine runs; the grader judges.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click
import duckdb
import pandas as pd

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
import contradiction_world  # noqa: E402

from grader import scoring  # noqa: E402
from grader.scoring import Share  # noqa: E402
from grader.truth import World  # noqa: E402
from spark_jobs.contradictions import catalogue, statement  # noqa: E402
from spark_jobs.contradictions.catalogue import Kind  # noqa: E402
from spark_jobs.contradictions.statement import Step  # noqa: E402
from tests.duck_dialect import prepare  # noqa: E402

MEMORY_MB = 5000


class Bench:
    """Silver of a world in DuckDB, and the facts made of it, kept as files beside it until their statement changes."""

    def __init__(self, silver: Path, known_by: date | None = None) -> None:
        self.folder = silver / f"_facts{known_by or ''}"
        self.folder.mkdir(exist_ok=True)
        self.db = duckdb.connect()
        prepare(self.db)
        self.db.execute(f"SET threads = 1; SET memory_limit = '{MEMORY_MB}MB'; SET temp_directory = '{self.folder}'")
        self.relations = contradiction_world.views(self.db, silver, known_by)
        self.digests: dict[str, str] = {}

    def figures(self, kinds: Sequence[Kind]) -> dict[str, str]:
        """The view of each kind's figures; says which kinds are left out, and why."""
        plan = statement.plan(kinds, self.relations)
        self.registered = plan.registered
        for step in plan.facts:
            self.keep(step)
        for kind, why in plan.left_out.items():
            click.echo(f"{kind} left out: {why}")
        return {kind: self.keep(step) for kind, step in plan.figures.items()}

    def keep(self, step: Step) -> str:
        """Makes a step's view of a file, made before or now; a step is as good as the steps that it reads."""
        read = "".join(digest for view, digest in sorted(self.digests.items()) if view in step.sql)
        digest = hashlib.sha256((step.sql + read).encode()).hexdigest()[:12]
        self.digests[step.view] = digest
        path = self.folder / f"{step.name}.{digest}.parquet"
        if not path.exists():
            begun = time.monotonic()
            for old in self.folder.glob(f"{step.name}.*.parquet"):
                old.unlink()
            draft = path.with_suffix(".part")
            self.db.execute(f"COPY ({step.sql}) TO '{draft}' (FORMAT parquet)")
            draft.rename(path)
            click.echo(f"  {step.name}: {time.monotonic() - begun:.1f} s", err=True)
        self.db.execute(f"create or replace view {step.view} as select * from read_parquet('{path}')")
        return step.view


def judge(world: World, kind: Kind, found: pd.DataFrame) -> dict[str, object]:
    """One row of the table: findings, precision, recall, and of whom, of one kind."""
    planted = world.planted(world.last_day)
    planted = planted[planted["kind"] == kind.name]
    said = found.assign(kind=kind.name, found_on=pd.to_datetime(found["found_on"]))
    judged = scoring.judge_findings(said[["firm_id", "kind", "found_on"]], planted)
    episodes = scoring.judge_episodes(said, planted)
    alike, lies = episodes[episodes["look_alike"].astype(bool)], episodes[~episodes["look_alike"].astype(bool)]
    right = judged["verdict"] == "right"
    knowing = lies[lies["knows_rule"].astype(bool)]
    return {
        "kind": kind.name,
        "precision": Share(int(right.sum()), len(judged)),
        "recall": Share(int(lies["found"].sum()), len(lies)),
        "knowing": Share(int(knowing["found"].sum()), len(knowing)),
        "alike": Share(int(alike["found"].sum()), len(alike)),
        "days": float(lies.loc[lies["found"], "days"].median()),
    }


def with_firms(world: World, found: pd.DataFrame) -> pd.DataFrame:
    """Findings with `firm_id`: the firm whose credit code the enterprise has, −1 where none has."""
    codes = world.codes().set_index("uscc")["firm_id"]
    return found.assign(firm_id=found["enterprise_id"].map(codes).fillna(-1).astype("int64"))


def show(row: dict[str, object]) -> str:
    """A row of the table in Markdown."""
    cells = [f"`{row['kind']}`"]
    for name in ("precision", "recall", "knowing", "alike"):
        share = row[name]
        assert isinstance(share, Share)
        cells.append(f"{share.value:.2f} ({share.hits}/{share.of})" if share.of else "–")
    return f"| {' | '.join([*cells, '{:.0f}'.format(row['days'])])} |"


def all_findings(bench: Bench, kinds: Sequence[Kind]) -> pd.DataFrame:
    """Findings of all kinds: `kind` and the columns that every kind has."""
    figures = bench.figures(kinds)
    found = [
        bench.db.sql(statement.findings(kind, figures[kind.name], bench.registered)).df().assign(kind=kind.name)
        for kind in kinds
        if kind.name in figures
    ]
    shared = ["kind", *statement.KEYS, "broken_checks"]
    return pd.concat(found, ignore_index=True)[shared].sort_values(shared, ignore_index=True)


@click.group()
def main() -> None:
    """Contradictions against the truth."""


def silver_of(world: Path, silver: Path | None) -> Path:
    """Where a world's silver is, made if it is not there yet."""
    folder = silver or world.with_name(f"{world.name}-silver")
    contradiction_world.write(world, folder)
    return folder


WHERE = click.option("--silver", type=click.Path(path_type=Path), help="Where its silver is, or is made.")
ONLY = click.option("--kind", "names", multiple=True, help="Only these kinds.")


@main.command()
@click.argument("world", type=click.Path(path_type=Path, exists=True))
@WHERE
@ONLY
def measure(world: Path, silver: Path | None, names: tuple[str, ...]) -> None:
    """Precision and recall of every kind over a world."""
    truth, bench = World.open(world), Bench(silver_of(world, silver))
    kinds = [kind for kind in catalogue.load() if not names or kind.name in names]
    figures = bench.figures(kinds)
    click.echo("| kind | precision | recall | of those who know the rule | look-alikes accused | median days |")
    click.echo("|---|---|---|---|---|---|")
    for kind in kinds:
        if kind.name in figures:
            query = statement.findings(kind, figures[kind.name], bench.registered)
            click.echo(show(judge(truth, kind, with_firms(truth, bench.db.sql(query).df()))))


@main.command()
@click.argument("world", type=click.Path(path_type=Path, exists=True))
@WHERE
@ONLY
@click.option("--known-by", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The day at which silver is cut.")
def cut(world: Path, silver: Path | None, names: tuple[str, ...], known_by: datetime) -> None:
    """Whether findings up to a day are the same from all that is known now as from what was known on that day."""
    folder, day = silver_of(world, silver), known_by.date()
    kinds = [kind for kind in catalogue.load() if not names or kind.name in names]
    whole = all_findings(Bench(folder), kinds)
    then = all_findings(Bench(folder, day), kinds)
    whole = whole[pd.to_datetime(whole["found_on"]) <= known_by].reset_index(drop=True)
    then = then[pd.to_datetime(then["found_on"]) <= known_by].reset_index(drop=True)
    both = whole.merge(then, how="outer", indicator=True)
    click.echo(f"{len(whole):,} findings up to {day} now, {len(then):,} then")
    for kind, rows in both[both["_merge"] != "both"].groupby("kind"):
        click.echo(f"{kind}: {len(rows)} differ\n{rows.head(5).to_string()}")
    if not (both["_merge"] == "both").all():
        raise SystemExit(1)


@main.command()
@click.argument("world", type=click.Path(path_type=Path, exists=True))
@WHERE
def flows(world: Path, silver: Path | None) -> None:
    """Precision and recall of the links from invoices to orders, deliveries and payments over a world."""
    truth, bench = World.open(world), Bench(silver_of(world, silver))
    for step in statement.match_plan(bench.relations).facts:
        bench.keep(step)
    said = bench.db.sql(f"select invoice_number, record, occurred_on, amount from {statement.MATCH}").df()
    said["occurred_on"] = pd.to_datetime(said["occurred_on"])
    factor = (said["record"] == "payment").map({True: 100, False: 1})
    said["amount"] = (said["amount"] * factor).round().astype("int64")
    for row in scoring.matched_links(said, truth.links(truth.last_day)).itertuples():
        precision, recall = Share(row.right, row.said), Share(row.right, row.true)
        click.echo(f"{row.record}: precision {precision.value:.4f} of {precision.of:,}, "
                   f"recall {recall.value:.4f} of {recall.of:,}")  # fmt: skip


if __name__ == "__main__":
    main()
