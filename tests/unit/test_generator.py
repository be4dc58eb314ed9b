"""The demo source: what it plants is in its files, and its loans are as hard to foresee as real ones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from sources.invoice_generator.generate import generate
from tests.oracle.raw_counts import count_folder

PROJECT_DIR = Path(__file__).resolve().parents[2]
END = date(2024, 1, 1)
COUNTED = ("rows", "firms", "exact_duplicates", "void", "negative", "zero", "negative_and_void", "total_mismatch")
BAD_DATES = ["dpd90_on", "guarantor_paid_on", "written_off_on"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("small") / "drop"
    return out, generate(out, firms=300, years=3, seed=3, end=END)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("full") / "drop"
    return out, generate(out, firms=2000, years=3, seed=7, end=END)


def read_invoices(folder: Path, direction: str) -> pd.DataFrame:
    """All rows of a direction, typed; absurd dates become NaT."""
    names = ["firm", "number", "day", "partner", "amount", "tax", "total", "status"]
    parts = [pd.read_csv(p, names=names, header=0) for p in sorted(folder.glob(f"{direction}put_invoices_*.gz"))]
    rows = pd.concat(parts, ignore_index=True)
    rows["day"] = pd.to_datetime(rows["day"], format="%Y/%m/%d", errors="coerce")
    return rows


def read_loans(folder: Path) -> pd.DataFrame:
    dates = ["drawn_on", "due_on", "dpd31_on", *BAD_DATES, "closed_on"]
    return pd.read_csv(folder / "loan_ledger.csv", parse_dates=dates)


def test_equal_seeds_give_equal_bytes(small: tuple[Path, dict], tmp_path: Path) -> None:
    folder, _ = small
    generate(tmp_path / "drop", firms=300, years=3, seed=3, end=END)
    generate(tmp_path / "other", firms=300, years=3, seed=4, end=END)

    def digests(of: Path) -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in of.iterdir()}

    assert digests(folder) == digests(tmp_path / "drop")
    assert set(digests(folder).items()).isdisjoint(digests(tmp_path / "other").items())


def test_planted_counts_equal_an_independent_count(small: tuple[Path, dict]) -> None:
    folder, planted = small
    counted = count_folder(folder)
    assert set(counted) == set(planted["files"])
    for name, counts in counted.items():
        truth = planted["files"][name]
        assert {k: getattr(counts, k) for k in COUNTED} == {k: truth[k] for k in COUNTED}, name
    assert sum(t["exact_duplicates"] for t in planted["files"].values()) > 0


def test_truth_stays_outside_the_folder(small: tuple[Path, dict]) -> None:
    folder, _ = small
    assert (folder.parent / "drop.planted.json").exists()
    assert not list(folder.glob("*.json"))


def test_each_trap_is_planted_as_counted(small: tuple[Path, dict]) -> None:
    folder, planted = small
    rows = pd.concat([read_invoices(folder, "in").assign(side="in"), read_invoices(folder, "out").assign(side="out")])
    total = {k: sum(f[k] for f in planted["files"].values()) for k in next(iter(planted["files"].values()))
             if k != "doubled_enterprises"}  # fmt: skip
    assert rows["status"].str.startswith(" ").sum() == total["leading_space"] > 0
    absurd = rows["day"].isna() | (rows["day"] >= pd.Timestamp(END)) | (rows["day"] < "2000-01-01")
    assert absurd.sum() == total["absurd_dates"] > 0
    rows["status"] = rows["status"].str.strip()
    states = rows.groupby(["side", "firm", "number", "partner"])["status"].nunique()
    assert (states > 1).sum() == total["valid_and_void"] > 0


def test_red_letters_follow_an_invoice_to_the_same_counterparty(full: tuple[Path, dict]) -> None:
    folder, planted = full
    sales = read_invoices(folder, "out").drop_duplicates()
    red = sales[sales["amount"] < 0].assign(amount=lambda r: -r["amount"])
    blue = sales[(sales["amount"] > 0)]
    pairs = red.reset_index().merge(blue, on=["firm", "partner", "amount"], suffixes=("", "_blue"))
    matched = pairs.loc[pairs["day_blue"] < pairs["day"], "index"].nunique()
    files = planted["files"]
    unmatched = sum(f["red_unmatched"] for name, f in files.items() if name.startswith("output"))
    assert 0.05 < unmatched / len(red) < 0.2
    assert matched / (len(red) - unmatched) > 0.97
    assert 0.008 < len(red) / len(sales) < 0.02


def test_population_is_of_the_promised_shape(full: tuple[Path, dict]) -> None:
    folder, planted = full
    rows = sum(f["rows"] for f in planted["files"].values())
    registry = pd.read_csv(folder / "business_registry.csv", dtype=str)
    assert 300_000 < rows < 500_000
    assert len(registry) == registry["uscc"].nunique() == 2000
    assert 0.08 < (registry["registered_on"] >= "2021-01-01").mean() < 0.16
    void = sum(f["void"] for f in planted["files"].values()) / rows
    assert 0.04 < void < 0.08
    known = pd.read_csv(folder / "enterprises_with_credit_record.csv")
    unknown = pd.read_csv(folder / "enterprises_without_credit_record.csv")
    assert set(known["企业代号"]).isdisjoint(unknown["企业代号"]) and len(known) + len(unknown) == 2000
    assert (known.loc[known["信誉评级"] == "D", "是否违约"] == "是").all()


def test_loans_are_consistent(full: tuple[Path, dict]) -> None:
    folder, planted = full
    loans = read_loans(folder)
    assert loans["loan_id"].is_unique
    assert ((loans["due_on"] - loans["drawn_on"]).dt.days == 365).all()
    assert (loans["closed_on"].dropna() > loans.loc[loans["closed_on"].notna(), "drawn_on"]).all()
    late = loans[loans["dpd90_on"].notna()]
    assert ((late["dpd90_on"] - late["dpd31_on"]).dt.days == 59).all()
    for column in ("dpd31_on", *BAD_DATES, "closed_on"):
        assert loans[column].max() < pd.Timestamp(END), column
    indeterminate = loans["dpd31_on"].notna() & loans[BAD_DATES].isna().all(axis=1) & loans["closed_on"].notna()
    assert indeterminate.sum() > 30
    assert loans[BAD_DATES].notna().any().all()
    assert loans.groupby("enterprise_id").size().median() >= 3
    known = set(pd.read_csv(folder / "enterprises_with_credit_record.csv")["企业代号"])
    assert known == set(loans.loc[loans["closed_on"].notna() | loans[BAD_DATES].notna().any(axis=1), "enterprise_id"])
    assert min(planted["loans"]["bad_by_year"].values()) >= 80


def test_some_failed_firms_trade_on_and_some_stop(full: tuple[Path, dict]) -> None:
    folder, _ = full
    loans = read_loans(folder)
    failed = loans.groupby("enterprise_id")["dpd90_on"].min()
    failed = failed[failed < "2023-03-01"]
    sales = read_invoices(folder, "out")
    last = sales[sales["day"] < pd.Timestamp(END)].groupby("firm")["day"].max().reindex(failed.index)
    stopped = (last < failed + pd.Timedelta(days=180)).mean()
    assert 0.4 < stopped < 0.85


def observe(folder: Path, day: str) -> tuple[pd.DataFrame, pd.Series]:
    """A few window features of the firms with a sound open loan on a day, and whether they go bad in 12 months."""
    at = pd.Timestamp(day)
    ahead = at + pd.DateOffset(months=12)
    loans = read_loans(folder)
    loans["bad_on"] = loans[BAD_DATES].min(axis=1)
    is_open = (loans["drawn_on"] < at) & ~(loans["closed_on"] < at)
    troubled = loans.loc[(loans["bad_on"] < at) | (is_open & (loans["dpd31_on"] < at)), "enterprise_id"]
    firms = pd.Index(sorted(set(loans.loc[is_open, "enterprise_id"]) - set(troubled)))
    bad = loans.loc[loans["bad_on"].between(at, ahead, inclusive="left"), "enterprise_id"]
    columns = {}
    for side in ("out", "in"):
        rows = read_invoices(folder, side).drop_duplicates()
        rows = rows[(rows["day"] < at) & (rows["day"] >= at - pd.DateOffset(months=12))]
        void = rows["status"].str.strip() == "作废发票"
        valid = rows[~void]
        for months in (12, 3):
            window = valid[valid["day"] >= at - pd.DateOffset(months=months)].groupby("firm")
            columns[f"{side}_amount_{months}"] = window["amount"].sum()
            columns[f"{side}_count_{months}"] = window.size()
            columns[f"{side}_partners_{months}"] = window["partner"].nunique()
        columns[f"{side}_void"] = void.groupby(rows["firm"]).mean()
        columns[f"{side}_months"] = valid.groupby("firm")["day"].agg(lambda d: d.dt.to_period("M").nunique())
        columns[f"{side}_last_day"] = (at - valid.groupby("firm")["day"].max()).dt.days
    table = pd.DataFrame(columns).reindex(firms)
    for side in ("out", "in"):
        table[f"{side}_last_day"] = table[f"{side}_last_day"].fillna(400)
        table = table.fillna(0)
        for what in ("amount", "count", "partners"):
            now, year = table[f"{side}_{what}_3"], table[f"{side}_{what}_12"]
            table[f"{side}_{what}_share"] = now / year.clip(lower=1)
            table[f"{side}_{what}_12"] = np.log1p(year.clip(lower=0))
            table = table.drop(columns=f"{side}_{what}_3")
    return table, pd.Series(firms.isin(bad), index=firms)


def test_an_honest_out_of_time_model_is_as_good_as_in_practice(full: tuple[Path, dict]) -> None:
    folder, _ = full
    train = [observe(folder, day) for day in ("2021-10-01", "2022-01-01")]
    seen, outcome = pd.concat([t[0] for t in train]), pd.concat([t[1] for t in train])
    later, later_outcome = observe(folder, "2023-01-01")  # every training label is known by then

    def auc(columns: list[str]) -> float:
        model = make_pipeline(
            QuantileTransformer(n_quantiles=100, output_distribution="normal"),
            LogisticRegression(C=0.1, max_iter=500),
        ).fit(seen[columns], outcome)
        return roc_auc_score(later_outcome, model.predict_proba(later[columns])[:, 1])

    assert 0.05 < later_outcome.mean() < 0.09
    everything, size = auc(list(seen)), auc(["out_amount_12", "out_count_12", "in_amount_12"])
    assert 0.72 < everything < 0.88
    assert 0.55 < size < everything - 0.05


def test_the_command_line_reports_and_refuses_to_overwrite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sources.invoice_generator", "--firms", "60", "--out", str(tmp_path / "d")]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert "60 firms" in done.stdout
    again = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True)
    assert again.returncode == 1 and "is not empty" in again.stderr


def test_too_few_firms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 20"):
        generate(tmp_path / "d", firms=3, years=3, seed=1, end=END)
