"""`vinelake model`: train, study, check, decide, and look at what was decided."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from lakehouse.cli.output import json_option, show


@click.group()
def model() -> None:
    """Models: candidates, the promotion gate, decisions and their history."""


def _told(result: dict[str, Any], as_json: bool) -> None:
    """A job's answer: one line per fact, or one JSON object."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, default=str))
        return
    for key, value in result.items():
        click.echo(f"{key + ':':<26} {value}")


@model.command()
@click.argument("as_of")
@json_option
def train(as_of: str, as_json: bool) -> None:
    """Freeze the sample of a date, fit and validate the models, register them."""
    from ml import training

    console = Console(stderr=True)
    with console.status("freezing the sample") as status:
        frozen = training.freeze_dataset(as_of)
        status.update("fitting the candidates on the same folds")
        result = training.train(as_of, progress=status.update)
    if as_json:
        _told(result, as_json)
        return
    show(["step", "leaving", "remaining"], [list(row.values()) for row in frozen["waterfall"]], False)
    rows = [[name, _range(result["auc"][name]), _range(result["ks"][name])] for name in result["auc"]]
    show(["model", "AUC (95 %)", "KS (95 %)"], rows, False)
    click.echo(f"version {result['version']} is {'as registered before' if result['reused'] else 'the new candidate'}")


def _range(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


@model.command()
@click.option("--as-of", help="Date outcomes are known at; the latest date of the features otherwise.")
@click.option("--cuts", default="2019-01-01,2019-07-01,2020-01-01", show_default=True, help="Observation dates.")
@json_option
def study(as_of: str | None, cuts: str, as_json: bool) -> None:
    """Quality at several observation dates, with and without recency, against size alone."""
    from ml import study as studies

    console = Console(stderr=True)
    with console.status("reading features and outcomes") as status:
        result = studies.run(as_of or _latest(), [cut.strip() for cut in cuts.split(",")], progress=status.update)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    as_text = lambda rows: [[str(cell) for cell in row] for row in rows]  # noqa: E731
    show(studies.QUALITY_HEADER, as_text(studies.quality_rows(result["results"])), False, "Discrimination")
    show(studies.GAIN_HEADER, as_text(studies.gain_rows(result["results"])), False, "Gains on the same folds")
    for path in result["paths"].values():
        click.echo(path)


def _latest() -> str:
    """The latest date the published features hold."""
    from ml.tables_io import as_of_dates

    return str(as_of_dates()[-1])


@model.command()
@json_option
def candidates(as_json: bool) -> None:
    """All registered versions with their aliases, data, author and decision."""
    from ml.tracking import client, list_versions

    rows = list_versions(client())
    columns = ["version", "kind", "aliases", "partition", "author", "gate", "decision", "decided_by"]
    show(columns, [[row[name] for name in columns] for row in rows], as_json)


@model.command()
@click.argument("as_of")
@json_option
def check(as_of: str, as_json: bool) -> None:
    """Run the promotion gate on the candidate of a date; exit 1 when it must not be promoted."""
    from ml import promotion

    _told(promotion.check(as_of), as_json)


@model.command()
@click.argument("as_of")
@click.option("--by", "approver", required=True, help="Who approves; never the author of the version.")
@click.option("--comment", default="", help="What the approval rests on.")
@json_option
def approve(as_of: str, approver: str, comment: str, as_json: bool) -> None:
    """Approve the candidate of a date: it becomes champion."""
    from ml import promotion

    _told(promotion.decide(as_of, approver, "approve", comment), as_json)


@model.command()
@click.argument("as_of")
@click.option("--by", "approver", required=True, help="Who rejects; never the author of the version.")
@click.option("--comment", required=True, help="The reason.")
@json_option
def reject(as_of: str, approver: str, comment: str, as_json: bool) -> None:
    """Reject the candidate of a date, with a reason."""
    from ml import promotion

    _told(promotion.decide(as_of, approver, "reject", comment), as_json)


@model.command()
@json_option
def history(as_json: bool) -> None:
    """The promotion ledger: every registration, check and decision, verified."""
    from ml import promotion

    columns = [
        "seq",
        "recorded_at",
        "partition",
        "version",
        "action",
        "outcome",
        "actor",
        "comment",
        "valid_until",
        "aliases_after",
    ]
    show(columns, [[entry[name] for name in columns] for entry in promotion.history()], as_json)


@model.command()
@click.argument("version", required=False)
@click.option("--report", is_flag=True, help="The whole validation report instead of the card.")
def card(version: str | None, report: bool) -> None:
    """Print the model card of a version; of the champion where none is named."""
    from ml.tracking import client, document

    click.echo(document(client(), version, "validation_report.md" if report else "model_card.md"))


@model.command("restore-aliases")
@json_option
def restore_aliases(as_json: bool) -> None:
    """Set the registry's aliases as the ledger says, after somebody moved one past the gate."""
    from ml import promotion

    _told(promotion.restore_aliases(), as_json)


@model.command()
@click.argument("as_of")
@json_option
def replay(as_of: str, as_json: bool) -> None:
    """Score a date again from what its rows name, and compare; exit 1 when a bit differs."""
    from ml import scoring

    told = scoring.replay(as_of)
    _told(told, as_json)
    raise SystemExit(0 if told["equal"] else 1)
