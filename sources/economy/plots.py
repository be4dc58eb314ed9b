"""Plots of a written world beside published figures, for `docs/economy.md`.

`python -m sources.economy.plots WORLD docs/images`
"""

# ruff: noqa: E501 (queries)

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sources.economy.calibrate import World


def sizes_and_growth(w: World, out: Path) -> None:
    """Tail of staff against Zipf's law, and yearly growth rates against Laplace."""
    staff = np.sort(w.rows(f"select staff from firm_day where day = date '{w.last}' and staff > 0")["staff"])[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.loglog(staff, np.arange(1, len(staff) + 1) / len(staff), ".", ms=3, label="world")
    line = np.array([10.0, staff.max()])
    left.loglog(line, (staff >= 10).mean() * 10 / line, "--", label="exponent 1 (Axtell 2001)")
    left.set(xlabel="staff", ylabel="share of firms at least as large", title="Firm size")
    left.legend()
    g = w.rows(
        "with y as (select firm_id, year(day) y, sum(sales_fen) s, count(*) d from firm_day group by all) select "
        "ln(b.s / a.s) g from y a join y b on a.firm_id = b.firm_id and b.y = a.y + 1 where a.s > 0 and b.s > 0 and a.d > 363 and b.d > 363"
    )["g"]
    g = g[np.abs(g) < 2]
    right.hist(g, 80, density=True, alpha=0.6, label="world")
    scale, x = np.mean(np.abs(g - np.median(g))), np.linspace(-2, 2, 400)
    right.plot(x, np.exp(-np.abs(x - np.median(g)) / scale) / (2 * scale), label="Laplace (Zou 2019)")
    right.set(xlabel="log growth of yearly sales", title="Growth", yscale="log", ylim=(1e-3, None))
    right.legend()
    save(figure, out / "economy-size-growth.png")


def months(w: World, out: Path) -> None:
    """Sales by month, the lunar new year in them, and how long customers take to pay."""
    rows = w.rows("select date_trunc('month', day) m, sum(sales_fen) / 1e11 v from firm_day group by m order by m")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot(rows["m"][1:], rows["v"][1:])
    left.set(ylabel="sales, billion yuan a month", title="The lunar new year in sales", ylim=(0, None))
    late = w.rows(
        "select settled_on - issued_on d from invoice where buyer_id between 0 and 9999999 and good <> 'service' and "
        "amount_fen > 0 and voided_on is null and settled_on is not null"
    )["d"]
    right.hist(late[late < 400], 80, density=True)
    right.axvline(141, ls="--", color="k", label="terms and delay of late payers: 141 (Coface 2025)")
    right.set(xlabel="days from invoice to payment", title="Payment between firms of the economy")
    right.legend(fontsize=8)
    save(figure, out / "economy-months-payment.png")


def defaults(w: World, out: Path) -> None:
    """Defaults by quarter and cause; exits by age."""
    rows = w.db.execute(
        "select date_trunc('quarter', past_due_90_on)::varchar q, cause, count(*) n from default_event where past_due_90_on >= "
        "(select min(day) from calendar_day) group by all order by all"
    ).fetchall()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    quarters, causes = sorted({r[0] for r in rows}), sorted({r[1] for r in rows})
    bottom = np.zeros(len(quarters))
    for cause in causes:
        height = np.array([sum(r[2] for r in rows if r[:2] == (q, cause)) for q in quarters], float)
        left.bar([q[2:7] for q in quarters], height, bottom=bottom, label=cause)
        bottom += height
    left.tick_params(axis="x", rotation=90, labelsize=7)
    left.set(title="First defaults by quarter and cause")
    left.legend(fontsize=8)
    age = w.rows("select (closed_on - founded_on) / 365 a from firm where closed_on is not null")["a"]
    right.hist(age[age < 20], np.arange(0, 21))
    right.set(xlabel="age in years", title="Firms that closed, by age")
    save(figure, out / "economy-defaults-exits.png")


def save(figure: plt.Figure, path: Path) -> None:
    """Writes a figure."""
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(world: Path, out: Path) -> None:
    """All plots of a world."""
    w = World(world)
    out.mkdir(parents=True, exist_ok=True)
    for plot in (sizes_and_growth, months, defaults):
        plot(w, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
