"""Command line: `python -m sources.invoice_generator --out DIR --firms 2000 --years 3 --seed 7`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from sources.invoice_generator.generate import generate
from sources.invoice_generator.revise import revise


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; must be empty.")
@click.option("--firms", default=2000, show_default=True, help="Number of enterprises.")
@click.option("--years", default=3, show_default=True, help="Years of invoices before the end.")
@click.option("--seed", default=7, show_default=True, help="Equal seeds give equal bytes.")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), default="2024-01-01", show_default=True)
@click.option(
    "--revise-from",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Instead: copy this drop folder with some invoices voided or corrected.",
)
@click.option("--share", default=0.01, show_default=True, help="Share of invoices that --revise-from changes.")
def main(out: Path, firms: int, years: int, seed: int, end: datetime, revise_from: Path | None, share: float) -> None:
    """Write a drop folder of VAT invoices, credit records, a business registry and a loan ledger."""
    try:
        if revise_from:
            report = revise(revise_from, out, share, seed)
            click.echo(f"{out}: {report['voided']} invoices voided, {report['corrected']} corrected")
            return
        planted = generate(out, firms, years, seed, end.date())
    except (ValueError, FileExistsError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    rows = sum(f["rows"] for f in planted["files"].values())
    loans = planted["loans"]
    click.echo(
        f"{out}: {firms} firms, {rows} invoice rows, {loans['loans']} loans, {loans['bad_enterprises']} firms gone bad"
    )


if __name__ == "__main__":
    main()
