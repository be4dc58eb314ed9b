"""Charts of a model's evidence, as PNG files: ROC, KS, calibration, bins, score distribution."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ml.development import Development
from ml.validation import auc

COLOURS = {"scorecard": "#1f4e79", "plain_regression": "#c55a11", "size_only": "#7f7f7f", "booster": "#548235"}
GOOD_COLOUR, BAD_COLOUR = "#2e75b6", "#c00000"


def _figure(width: float = 6.4, height: float = 4.8) -> tuple[Figure, plt.Axes]:
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def roc_points(is_bad: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of goods and of bads at or above each cut, from the riskiest down; starts at (0, 0)."""
    order = np.argsort(-risk, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(risk[order])), len(risk) - 1]
    bads, goods = np.cumsum(is_bad[order])[last], np.cumsum(1 - is_bad[order])[last]
    return np.r_[0, goods / goods[-1]], np.r_[0, bads / bads[-1]]


def plot_roc(model: Development) -> Figure:
    """ROC of every candidate, predictions out of fold."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--")
    for name, quality in model.qualities.items():
        x, y = roc_points(model.folds.is_bad, model.folds.firms_mean(name))
        axes.plot(
            x,
            y,
            color=COLOURS.get(name),
            linewidth=2.2 if name == "scorecard" else 1.3,
            label=f"{name.replace('_', ' ')}  {quality.auc}",
        )
    axes.set(
        xlabel="share of goods at or above the cut",
        ylabel="share of bads at or above the cut",
        title=f"ROC out of fold, {model.folds.is_bad.sum():.0f} bads of {len(model.folds.is_bad)}",
    )
    axes.legend(
        title="AUC (95 % interval over borrowers)", fontsize=8, title_fontsize=8, loc="lower right", frameon=False
    )
    return figure


def plot_ks(model: Development) -> Figure:
    """Distribution functions of goods and bads by PD, with the largest gap marked."""
    figure, axes = _figure()
    is_bad, risk = model.folds.is_bad.astype(bool), model.pd_out_of_fold
    cuts = np.sort(np.unique(risk))
    below = {
        kind: np.searchsorted(np.sort(risk[rows]), cuts, "right") / rows.sum()
        for kind, rows in (("goods", ~is_bad), ("bads", is_bad))
    }
    at = int(np.argmax(np.abs(below["goods"] - below["bads"])))
    axes.step(cuts, below["goods"], where="post", color=GOOD_COLOUR, label="goods")
    axes.step(cuts, below["bads"], where="post", color=BAD_COLOUR, label="bads")
    axes.vlines(cuts[at], below["bads"][at], below["goods"][at], color="black", linewidth=1.2)
    axes.annotate(
        f" KS {abs(below['goods'][at] - below['bads'][at]):.2f} at PD {cuts[at]:.1%}",
        (cuts[at], (below["goods"][at] + below["bads"][at]) / 2),
        fontsize=9,
    )
    axes.set(xlabel="PD out of fold (mean of repeats)", ylabel="share at or below", title="Kolmogorov–Smirnov gap")
    axes.legend(frameon=False, loc="lower right")
    return figure


def plot_calibration(model: Development, groups: int = 5) -> Figure:
    """Observed bad rate against mean PD per group of equal size, with exact 95 % intervals."""
    from scipy.stats import binomtest

    figure, axes = _figure()
    order = np.argsort(model.pd_out_of_fold, kind="stable")
    points = []
    for part in np.array_split(order, groups):
        bads = int(model.folds.is_bad[part].sum())
        interval = binomtest(bads, len(part)).proportion_ci(method="exact")
        points.append((model.pd_out_of_fold[part].mean(), bads / len(part), interval.low, interval.high, len(part)))
    x, y, low, high, size = map(np.array, zip(*points, strict=True))
    top = min(1.0, max(high.max(), x.max()) * 1.05)
    axes.plot([0, top], [0, top], color="#bbbbbb", linestyle="--", linewidth=1)
    axes.errorbar(x, y, yerr=[y - low, high - y], fmt="o", color=COLOURS["scorecard"], capsize=3)
    for px, py, rows in zip(x, y, size, strict=True):
        axes.annotate(f" {rows}", (px, py), fontsize=8, va="bottom")
    check = model.calibration
    axes.set(
        xlabel="mean PD out of fold",
        ylabel="observed bad rate",
        xlim=(0, top),
        ylim=(0, top),
        title=f"Calibration: mean PD {check.mean_pd:.1%}, observed {check.bad_rate:.1%}\n"
        f"Hosmer–Lemeshow p {check.hosmer_lemeshow.p_value:.2f}; figures: rows in group",
    )
    return figure


def _bin_labels(splits: tuple[float, ...]) -> list[str]:
    texts = [_short(split) for split in splits]
    if not texts:
        return ["all"]
    return [f"< {texts[0]}", *(f"{a} – {b}" for a, b in pairwise(texts)), f"≥ {texts[-1]}"]


def _short(value: float) -> str:
    for size, unit in ((1e8, "00m"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def plot_bins(model: Development) -> Figure:
    """Per feature: rows per bin (bars), observed bad rate (line) and points (figures)."""
    card = model.card
    columns = 3
    rows = -(-len(card.bins) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(4.3 * columns, 2.9 * rows), layout="constrained", squeeze=False)
    points = card.points_table()
    for axes, item in zip(grid.flat, card.bins, strict=False):
        labels = [*_bin_labels(item.splits), "missing"]
        goods, bads = np.array([*item.goods, item.missing_goods]), np.array([*item.bads, item.missing_bads])
        total = goods + bads
        axes.bar(range(len(labels)), total, color="#d6e3f0", width=0.8)
        rate = axes.twinx()
        observed = np.where(total > 0, bads / np.maximum(total, 1), np.nan)
        rate.plot(observed[:-1], color=BAD_COLOUR, marker="o", markersize=4)
        rate.plot([len(labels) - 1], observed[-1:], color=BAD_COLOUR, marker="o", markersize=4)
        rate.set_ylim(0, max(0.05, np.nanmax(observed)) * 1.25)
        rate.tick_params(labelsize=7, colors=BAD_COLOUR)
        for x, value in enumerate([*points[item.feature][0], points[item.feature][1]]):
            axes.annotate(
                str(value),
                (x, 0.99),
                xycoords=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=8,
                fontweight="bold",
            )
        axes.set_ylim(0, total.max() * 1.2)
        axes.set_title(f"{item.feature}\n{item.trend}, IV {item.iv:.2f}", fontsize=8)
        axes.set_xticks(range(len(labels)), labels, fontsize=6.5, rotation=20)
        axes.tick_params(axis="y", labelsize=7)
    for axes in grid.flat[len(card.bins) :]:
        axes.set_visible(False)
    figure.suptitle("Bins: rows (bars), bad rate (red, right), points (bold)", fontsize=10)
    return figure


def plot_scores(model: Development, scores: np.ndarray, is_bad: np.ndarray) -> Figure:
    """Scores of goods and bads in the fitting sample."""
    figure, axes = _figure()
    bins = np.histogram_bin_edges(scores, bins=min(30, max(8, len(scores) // 8)))
    axes.hist(
        [scores[is_bad == 0], scores[is_bad == 1]],
        bins=bins,
        stacked=True,
        color=[GOOD_COLOUR, BAD_COLOUR],
        label=["goods", "bads"],
    )
    axes.set(
        xlabel="score",
        ylabel="rows",
        title=f"Scores of the fitting sample (AUC there {auc(is_bad, -scores):.3f}: optimistic)",
    )
    axes.legend(frameon=False)
    return figure


def write_plots(model: Development, scores: np.ndarray, is_bad: np.ndarray, folder: Path) -> list[Path]:
    """All charts as PNG under `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "roc": plot_roc(model),
        "ks": plot_ks(model),
        "calibration": plot_calibration(model),
        "bins": plot_bins(model),
        "scores": plot_scores(model, scores, is_bad),
    }
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, metadata={"Software": "vinelake"})
        plt.close(figure)
        paths.append(path)
    return paths
