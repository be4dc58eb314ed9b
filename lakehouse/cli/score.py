"""`vinelake score`: one firm's score explained, and two model versions compared."""

from __future__ import annotations

import json

import click
from rich.console import Console

from lakehouse.cli.output import json_option, show


@click.group()
def score() -> None:
    """Scores of the portfolio."""


@score.command("show")
@click.argument("enterprise_id")
@click.option("--as-of", metavar="DATE", help="The score of this date; the latest otherwise.")
@json_option
def show_one(enterprise_id: str, as_of: str | None, as_json: bool) -> None:
    """Explain one firm's score: grade, PD, reasons, and the points of every feature."""
    from ml import scoring

    told = scoring.explain(enterprise_id, as_of)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, default=str))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{told['enterprise_id']} as of {told['as_of']}, model version {told['model_version']}")
    console.print(f"features: {told['feature_snapshot']}")
    if told["decision"] == "refer":
        console.print(f"not scored, referred to a person: {told['refer_reason']}")
        return
    low, high = told["score_range"]
    console.print(
        f"score {told['score']} (possible {low} to {high}), grade {told['grade']}, "
        f"probability of default within 12 months {told['pd']:.2%}"
    )
    if told["reasons"]:
        console.print("\nWhat cost the most points against the best possible:")
    for reason in told["reasons"]:
        console.print(f"  −{reason['points_lost']} points  {reason['code']}: {reason['text_en']} / {reason['text_zh']}")
    console.print("")
    columns = ["feature", "value", "points", "best_points", "points_lost"]
    show(columns, [[line[c] for c in columns] for line in told["features"]], as_json=False)
    console.print(f"\nsum of points = score = {sum(line['points'] for line in told['features'])}")


@score.command()
@click.argument("as_of")
@click.argument("first")
@click.argument("second")
@click.option("--limit", default=20, show_default=True, help="Firms to list, biggest move first.")
@json_option
def diff(as_of: str, first: str, second: str, limit: int, as_json: bool) -> None:
    """How two model versions score the same firms at one date."""
    from ml import scoring

    told = scoring.diff(as_of, first, second)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, default=str))
        return
    listed = told.pop("firms", [])
    for key, value in told.items():
        click.echo(f"{key}: {value}")
    if listed:
        show(list(listed[0]), [list(row.values()) for row in listed[:limit]], as_json=False)
