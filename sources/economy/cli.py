"""`vinelake economy …`: generate a world, fork it, calibrate it."""

from __future__ import annotations

from pathlib import Path

import click

from sources.economy import commands, leads, params


@click.group()
def economy() -> None:
    """Generate and study the simulated economy."""


economy.add_command(commands.bound)
economy.add_command(commands.bulk)


@economy.command()
@click.option("--firms", default=3000, show_default=True, help="Firms alive on the first day.")
@click.option("--years", default=5.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--start", "first_day", default="2019-01-01", show_default=True, help="First day of the world.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder; a world already there is replaced."
)
@click.option("--plant/--no-plant", default=True, show_default=True, help="Plant frauds and honest look-alikes.")
@click.option("--content/--no-content", default=True, show_default=True, help="Derive what departments hold.")
@click.option(
    "--first-bank-share",
    default=params.FIRST_BANK_SHARE,
    type=click.FloatRange(0.01, 0.99),
    help="Loan applications that go to the first bank, the one whose systems are shown; if not given, as to any other.",
)
def generate(
    firms: int,
    years: float,
    seed: int,
    first_day: str,
    out: Path,
    plant: bool,
    content: bool,
    first_bank_share: float,
) -> None:
    """Write the world of a seed as Parquet."""
    from rich.progress import Progress

    from sources.economy import world
    from sources.economy.state import Knobs

    with Progress(transient=True) as bar:
        task = bar.add_task("days", total=None)
        facts = world.generate(
            firms,
            years,
            seed,
            out,
            first_day,
            plant,
            content,
            lambda d, n: bar.update(task, completed=d, total=n),
            Knobs(first_bank_share=first_bank_share),
        )
    rows = sum(t["rows"] for t in facts["tables"].values())
    seconds = facts["seconds"]
    click.echo(
        f"{out}: {firms} firms, {facts['first_day']} to {facts['last_day']}, {rows:,} rows in {len(facts['tables'])} "
        f"tables, {seconds['all']} s (kernel {seconds['kernel']} s)"
    )


@economy.command()
@click.option("--world", "folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Day from which futures run.")
@click.option("--futures", default=64, show_default=True)
def fork(folder: Path, at, futures: int) -> None:
    """Run futures of a written world from a date: the true chance of default of each firm."""
    from rich.progress import Progress

    from sources.economy import fork as forks

    with Progress(transient=True) as bar:
        task = bar.add_task("futures", total=futures)
        try:
            found = forks.write(folder, at.date(), futures, lambda d, n: bar.update(task, completed=d))
        except ValueError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{folder}/fork-{at.date()}.parquet: {found['at_risk']} of {found['firms']} firms at risk, "
               f"{futures} futures, mean default rate {found['mean_pd']:.2%}")  # fmt: skip


economy.add_command(leads.leads)


@economy.command()
@click.argument("worlds", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def calibrate(worlds: tuple[Path, ...], as_json: bool) -> None:
    """Measure worlds against published figures: value, target interval, inside or not, source."""
    import json
    from dataclasses import asdict

    from sources.economy import calibrate as measures

    found = [measures.measure(folder) for folder in worlds]
    if as_json:
        click.echo(json.dumps({str(w): [asdict(f) for f in facts] for w, facts in zip(worlds, found, strict=True)}))
        return
    click.echo(measures.as_text(found))
