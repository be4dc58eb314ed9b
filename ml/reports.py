"""Model card and validation report in Markdown: what a validator reads and a second person can repeat."""

from __future__ import annotations

from ml.configuration import ModelConfig
from ml.development import Development
from ml.stability import Stability
from ml.validation import Interval

Waterfall = list[dict[str, object]]


def table(header: list[str], rows: list[list[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def quality_table(model: Development) -> str:
    """Candidates on the same folds, AUC and KS with intervals."""
    rows = [
        [
            name.replace("_", " "),
            quality.auc,
            quality.ks,
            f"{2 * quality.auc.value - 1:.3f}",
            f"{quality.auc_spread_over_repeats:.3f}",
        ]
        for name, quality in model.qualities.items()
    ]
    return table(["model", "AUC (95 %)", "KS (95 %)", "Gini", "sd of AUC over splits"], rows)


def gain_table(model: Development) -> str:
    rows = [[pair.replace("_", " "), signed(gain.gain), gain.verdict] for pair, gain in model.gains.items()]
    return table(["AUC gain", "paired 95 % interval", "reading"], rows)


def waterfall_table(waterfall: Waterfall) -> str:
    return table(
        ["step", "leaving", "remaining"], [[row["step"], row["leaving"] or "", row["remaining"]] for row in waterfall]
    )


def bins_table(model: Development) -> str:
    """Every bin with counts, bad rate, weight of evidence and points; shape as observed."""
    rows = []
    points = model.card.points_table()
    for item in model.card.bins:
        bounds = ["−∞", *(f"{split:,.6g}" for split in item.splits), "∞"]
        for i, (goods, bads) in enumerate(zip(item.goods, item.bads, strict=True)):
            rows.append(
                [
                    item.feature if i == 0 else "",
                    item.trend if i == 0 else "",
                    f"[{bounds[i]}, {bounds[i + 1]})",
                    goods,
                    bads,
                    f"{bads / max(goods + bads, 1):.1%}",
                    f"{item.woe[i]:+.2f}",
                    points[item.feature][0][i],
                ]
            )
        rows.append(
            [
                "",
                "",
                "missing",
                item.missing_goods,
                item.missing_bads,
                "",
                f"{item.missing_woe:+.2f}",
                points[item.feature][1],
            ]
        )
    return table(["feature", "risk along the feature", "bin", "goods", "bads", "bad rate", "woe", "points"], rows)


def grade_table(model: Development) -> str:
    rows = [
        [
            test.grade,
            test.rows,
            test.bads,
            f"{test.mean_pd:.1%}",
            f"{test.bads / test.rows:.1%}",
            f"{test.p_value:.2f}",
            test.light,
        ]
        for test in model.calibration.by_grade
    ]
    return table(["grade", "rows", "bads", "mean PD", "bad rate", "binomial p", "light"], rows)


def stability_table(stability: dict[str, Stability]) -> str:
    rows = [
        [
            name,
            f"{item.psi:.3f}",
            f"{item.limit:.3f}",
            item.bins,
            f"{item.rows_before} / {item.rows_now}",
            "moved" if item.drifted else "within chance",
        ]
        for name, item in stability.items()
    ]
    return table(["figure", "PSI", "limit (quantile without drift)", "bins", "rows", "reading"], rows)


def limits(model: Development, label_source: str, assumed: bool) -> list[str]:
    """What a user must not conclude; each line follows from the data at hand."""
    bads = int(model.folds.is_bad.sum())
    lines = []
    if label_source == "credit_record":
        lines.append(
            "The outcome has no date: it may have happened before the observation date, so features may "
            "partly describe it (months without sales above all). Features of the recency group are left "
            "out; the figures may still overstate what prediction would give."
        )
        lines.append(
            "Only firms with a credit record have an outcome. Firms without one may differ; nothing was "
            "inferred about them (no reject inference), so PDs for them are an extrapolation."
        )
    if bads < 200:
        quality = model.qualities["scorecard"].auc
        lines.append(f"{bads} bads: an AUC is known to about ±{(quality.high - quality.low) / 2:.2f} only.")
    if assumed:
        lines.append("Invoices came in bulk: when they became known is assumed (day after issue), not observed.")
    if model.out_of_time is None:
        lines.append("There is no out-of-time test, since observation dates are too few or outcomes undated.")
    lines.append("Below the minimum history a firm is referred to a person, not scored.")
    lines.append(
        "The score ranks and informs; it does not decide alone. A client can ask for the reasons and for a "
        "person's decision."
    )
    return lines


def out_of_time_section(model: Development) -> str:
    if model.out_of_time is None:
        return "Not possible here; see limits of use."
    later = model.out_of_time
    head = (
        f"Judged on {later.test_rows} rows ({later.test_bads} bads) observed from {later.cut:%Y-%m-%d} on, each "
        f"predicted by a model fitted on earlier rows of other borrowers ({later.train_rows} on average): windows "
        "overlap, so a split by date alone would test on defaults that were learned.\n\n"
    )
    return head + table(["model", "AUC (95 %, DeLong)"], [[n.replace("_", " "), a] for n, a in later.auc.items()])


def validation_report(model: Development, config: ModelConfig, about: dict) -> str:
    """The whole evidence. `about`: version texts, waterfall, label_source, stability, known_at_is_assumed."""
    check, target = model.calibration, config.target
    parts = [
        f"# Validation report: {about['name']}",
        f"Data as of {about['partition']}, sample `{about['snapshot_id'][:12]}`, publication "
        f"{about['manifest_id']}, target definition {target.version}, policy `{config.fingerprint[:12]}`.",
        "## Purpose and label\n"
        f"Probability that a borrower goes bad within {target.performance_window_months} months. Bad: first of "
        f"{', '.join(target.bad_events)}; {', '.join(target.indeterminate_events)} alone is indeterminate. "
        f"Label source here: `{about['label_source']}`"
        + (" (one undated outcome per borrower)." if about["label_source"] == "credit_record" else " (dated loans)."),
        "## Sample\n" + waterfall_table(about["waterfall"]),
        "## Discrimination\n"
        f"{config.scorecard.crossval.folds} folds × {model.folds.folds.shape[0]} repeats, borrowers kept together, "
        "selection, binning and fitting inside the folds. Intervals: bootstrap over borrowers.\n\n"
        + quality_table(model)
        + "\n\n"
        + gain_table(model)
        + "\n\nA gain is claimed only where its interval excludes zero."
        + f"\n\nSize only: {', '.join(model.size_features)} (logarithms)."
        + "\n\n![ROC](plots/roc.png) ![KS](plots/ks.png)",
        "## Out of time\n" + out_of_time_section(model),
        "## Calibration (predictions out of fold)\n"
        f"Mean PD {check.mean_pd:.2%}, observed {check.bad_rate:.2%}; Brier {check.brier:.4f} (constant PD: "
        f"{check.brier_of_constant:.4f}); Hosmer–Lemeshow χ² {check.hosmer_lemeshow.statistic:.2f} on "
        f"{check.hosmer_lemeshow.groups} groups, p {check.hosmer_lemeshow.p_value:.3f}. Platt slope "
        f"{check.slope:.3f}, intercept {check.intercept:+.3f}. Slope and intercept were fitted on the same "
        "predictions, so this shows shape, not proof.\n\n"
        + grade_table(model)
        + "\n\n![calibration](plots/calibration.png)",
        "## Stability at birth\n" + stability_table(about["stability"]),
        "## Bins\nThe direction is what the data show; none is forced.\n\n"
        + bins_table(model)
        + "\n\n![bins](plots/bins.png)",
        "## Features left out\n"
        + table(["feature", "why"], sorted(model.selected.left_out.items()))
        + (f"\n\nGroups left out whole: {', '.join(model.dropped_groups)}." if model.dropped_groups else ""),
        "## Limits of use\n"
        + "\n".join(f"- {line}" for line in limits(model, about["label_source"], about["known_at_is_assumed"])),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(model: Development, config: ModelConfig, about: dict) -> list[list[object]]:
    """The card's table: what it is, on what, how good."""
    low, high = model.card.score_range()
    scale, check = config.scorecard.scaling, model.calibration
    quality, size = model.qualities["scorecard"], model.gains["scorecard over size_only"]
    plain = model.gains["scorecard over plain_regression"]
    bads = int(model.folds.is_bad.sum())
    bands = "; ".join(f"{band.grade} below {min(band.pd_below, 1):.0%}" for band in config.scorecard.grades.bands)
    return [
        ["purpose", f"PD within {config.target.performance_window_months} months; ranking and referral"],
        ["owner, author", f"credit risk, {about['author']}"],
        ["data as of", about["partition"]],
        ["sample", f"{len(model.folds.is_bad)} rows, {bads} bads, `{about['snapshot_id'][:12]}`"],
        ["label", f"{about['label_source']}, target definition {config.target.version}"],
        ["features", f"{len(model.card.bins)} of {len(model.features)} tried"],
        [
            "scale",
            f"{scale.pdo:g} points double the odds, {scale.base_score:g} = {scale.base_odds:g}:1; "
            f"possible {low} to {high}",
        ],
        ["grades (PD)", bands],
        ["AUC", f"{quality.auc}, cross-validated"],
        ["KS", f"{quality.ks}"],
        ["gain over size alone", f"{signed(size.gain)}: {size.verdict}"],
        ["gain over plain regression", f"{signed(plain.gain)}: {plain.verdict}"],
        ["calibration", f"mean PD {check.mean_pd:.1%}, observed {check.bad_rate:.1%}"],
    ]


def model_card(model: Development, config: ModelConfig, about: dict) -> str:
    """One page: what it is, on what, how good, for what not."""
    points = model.card.points_table()
    limit_lines = limits(model, about["label_source"], about["known_at_is_assumed"])
    features = [
        [
            item.feature,
            item.trend,
            f"{item.iv:.2f}",
            f"{min(points[item.feature][0])} to {max(points[item.feature][0])}",
        ]
        for item in model.card.bins
    ]
    parts = [
        f"# Model card: {about['name']}",
        "Scorecard for small firms from VAT invoices: weights of evidence, logistic regression, whole points.",
        table(["", ""], _facts(model, config, about)),
        "## Limits of use\n" + "\n".join(f"- {line}" for line in limit_lines),
        "## Features\n"
        + table(["feature", "risk along it", "information value", "points, lowest to highest"], features),
    ]
    return "\n\n".join(parts) + "\n"
