"""Features of the reference learners: nothing hidden, nothing from after the date; learners against known PDs."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy.special import expit

from sources.economy import bound, information, learner, reference
from sources.economy.cli import economy
from sources.economy.schema import TABLES

AT = date(2023, 7, 1)


def row(**columns) -> dict:
    """One row of a table; the columns left out are null."""
    return columns


BEFORE = {
    "firm": [row(firm_id=f, founded_on=date(2015, 1, 1), kind="manufacturer", capital_fen=10**8) for f in range(3)],
    "invoice": [
        row(invoice_id=1, seller_id=0, buyer_id=1, issued_on=date(2023, 5, 2), amount_fen=100_00, total_fen=113_00),
        row(invoice_id=2, seller_id=0, buyer_id=2, issued_on=date(2023, 6, 3), amount_fen=300_00, total_fen=339_00),
        row(invoice_id=3, seller_id=0, buyer_id=1, issued_on=date(2023, 6, 4), amount_fen=900_00, total_fen=1017_00,
             voided_on=date(2023, 6, 5)),
    ],
    "payment": [
        row(payment_id=1, payer_id=1, payee_id=0, paid_at=datetime(2023, 6, 1, 9), amount_fen=113_00,
             purpose="goods", invoice_id=1),
    ],
    "statement": [
        row(firm_id=0, year=2021, handed_in_on=date(2022, 4, 30), revenue_fen=1000_00, profit_fen=100_00),
        row(firm_id=0, year=2022, handed_in_on=date(2023, 5, 2), revenue_fen=1500_00, profit_fen=300_00),
    ],
    "loan": [row(loan_id=1, firm_id=0, bank_id=-100, principal_fen=10**7, started_on=date(2023, 1, 1),
                  matures_on=date(2024, 1, 1), status="normal")],
    "loan_status": [row(loan_id=1, month=date(2023, 5, 31), balance_fen=10**7, days_past_due=0)],
}  # fmt: skip
AFTER = {
    "invoice": [
        row(invoice_id=4, seller_id=0, buyer_id=2, issued_on=AT, amount_fen=5000_00, total_fen=5650_00),
    ],
    "payment": [
        row(payment_id=2, payer_id=2, payee_id=0, paid_at=datetime(2023, 7, 1, 0), amount_fen=339_00,
             purpose="goods", invoice_id=2),
    ],
    "statement": [row(firm_id=1, year=2022, handed_in_on=AT, revenue_fen=1, profit_fen=1)],
    "loan": [row(loan_id=2, firm_id=1, bank_id=-101, principal_fen=10**7, started_on=AT, status="defaulted")],
    "loan_status": [row(loan_id=1, month=date(2023, 7, 31), balance_fen=10**7, days_past_due=91)],
    "court_case": [row(case_id=1, defendant_id=0, filed_on=AT, amount_fen=1)],
    "bureau_enquiry": [row(enquiry_id=1, firm_id=0, bank_id=-100, enquired_on=AT)],
}  # fmt: skip


def write(world: Path, *contents: dict) -> Path:
    world.mkdir()
    for name in sorted({name for content in contents for name in content}):
        rows = [row for content in contents for row in content.get(name, [])]
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name].schema), world / f"{name}.parquet")
    return world


def test_features_by_hand(tmp_path):
    blocks = reference.features(write(tmp_path / "w", BEFORE), AT, np.arange(3))
    assert list(blocks) == ["size", "statements", "bureau", "all"]
    assert blocks["size"].loc[0, "log_sales_12_months"] == pytest.approx(np.log(401))  # the voided one is gone
    assert np.isnan(blocks["size"].loc[1, "log_sales_12_months"])
    seller, buyer = blocks["all"].loc[0], blocks["all"].loc[1]
    assert seller["collecting_days_365"] == 30  # 2 May to 1 June
    assert seller["sales_void_share"] == pytest.approx(1 / 3)
    assert buyer["paying_open_90"] == 0
    assert seller["in_goods_share"] == 1
    assert blocks["statements"].loc[0, "revenue_growth"] == pytest.approx(0.5)
    assert blocks["statements"].loc[0, "profit_margin"] == pytest.approx(0.2)
    assert blocks["bureau"].loc[0, "first_loan_days"] == 181
    assert blocks["bureau"].loc[0, "worst_days"] == 0


def test_what_comes_after_the_date_changes_nothing(tmp_path):
    early = reference.features(write(tmp_path / "early", BEFORE), AT, np.arange(3))
    late = reference.features(write(tmp_path / "late", BEFORE, AFTER), AT, np.arange(3))
    for name, frame in early.items():
        pd.testing.assert_frame_equal(frame, late[name])
    next_day = reference.features(tmp_path / "late", date(2023, 8, 1), np.arange(3))
    assert next_day["bureau"].loc[0, "worst_days"] == 91  # the rows do count once their day has come


def test_the_views_hold_no_hidden_column(tmp_path):
    with reference.connect(write(tmp_path / "w", BEFORE), AT) as connection:
        seen = connection.execute("select table_name, column_name from information_schema.columns").fetchall()
    assert len(seen) > 200
    for table, column in seen:
        assert column in TABLES[table].visible
    assert not {table for table, _ in seen} & {name for name, table in TABLES.items() if table.system == "truth"}


def test_departments_show_those_they_know_and_banks_no_private_purpose(tmp_path):
    subjects = [row(system="tax", department="vat_invoices", key="A", firm_id=1)]
    private = [
        row(payment_id=9, payer_id=-4, payee_id=0, paid_at=datetime(2023, 6, 2), amount_fen=1, purpose="private_loan")
    ]
    world = write(tmp_path / "w", BEFORE, {"department_subject": subjects, "payment": private})
    seen = reference.features(world, AT, np.arange(3))
    assert seen["size"].loc[0, "log_sales_12_months"] == pytest.approx(np.log(101))  # only what firm 1 bought is known
    assert "in_transfer_share" in seen["all"]
    assert not [column for column in seen["all"] if "private" in column]


@pytest.fixture(scope="module")
def simulated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    logit = -3.9 + 1.3 * rng.standard_normal(2500)
    default = rng.random((2500, 64)) < expit(logit)[:, None]
    return logit, default, rng.standard_normal((2500, 3))


def test_learners_reach_what_their_features_hold(simulated):
    logit, default, noise = simulated
    blocks = {
        "all": pd.DataFrame({"logit": logit, "noise": noise[:, 0]}),
        "part": pd.DataFrame({"blurred": logit + 2 * noise[:, 1]}),
        "none": pd.DataFrame({"noise": noise[:, 2]}),
    }
    found = {(item.block, item.learner): item for item in learner.compare(blocks, default, repeats=20)}
    assert set(found) == {(b, kind) for b in blocks for kind in ("boosting", "logistic", "both")}
    best = found["all", "logistic"]
    assert abs(best.gap) < 3 * best.gap_error + 0.01
    assert best.gap_error < best.error  # the same firms on both sides of the difference
    assert 0.6 < found["part", "both"].auc < best.auc - 0.05
    for kind in learner.LEARNERS:
        assert found["none", kind].auc == pytest.approx(0.5, abs=0.05)


def test_training_on_what_happened_scores_no_better_than_on_the_futures(simulated):
    logit, default, noise = simulated
    blocks = {"all": pd.DataFrame(np.column_stack([logit + noise[:, 0], noise[:, 1:]]))}
    blocks["all"].columns = ["blurred", "noise", "more_noise"]
    happened = np.random.default_rng(9).random(len(logit)) < expit(logit)
    on_futures = learner.compare(blocks, default, repeats=2)[0]
    on_outcomes = learner.compare(blocks, default, happened, repeats=2)[0]
    assert 0.6 < on_outcomes.auc < on_futures.auc + 0.01


def test_scores_compare_within_folds_only():
    fold = np.array([0, 0, 1, 1])
    score = np.array([2.0, 1.0, 20.0, 10.0])  # another scale in the second fold
    chance = np.array([0.5, 0.1, 0.5, 0.1])
    assert learner.within_folds(score, fold, chance) == pytest.approx(bound.auc_under_pd(score[:2], chance[:2]))


def test_the_command_reads_a_fork_and_leaves_its_report(tmp_path):
    world = write(tmp_path / "w", BEFORE)
    rng = np.random.default_rng(0)
    chance = np.repeat([0.02, 0.3], 40)
    default = rng.random((80, 16)) < chance[:, None]
    fork = pd.DataFrame(
        {
            "firm_id": np.repeat(np.arange(80), 16),
            "future": np.tile(np.arange(16), 80),
            "default": default.ravel(),
            "default_day": -1,
            "at_risk": True,
        }
    )
    duckdb.from_df(fork).write_parquet(str(world / f"fork-{AT}.parquet"))
    events = [row(firm_id=79, past_due_90_on=date(2024, 3, 1)), row(firm_id=1, past_due_90_on=date(2024, 7, 2))]
    pq.write_table(pa.Table.from_pylist(events, schema=TABLES["default_event"].schema), world / "default_event.parquet")
    result = CliRunner().invoke(economy, ["bound", "--world", str(world), "--at", str(AT), "--repeats", "5"])
    assert result.exit_code == 0, result.output
    assert "statements" in result.output
    assert (world / f"bound-{AT}.json").exists()
    pd.DataFrame({"firm_id": np.arange(80), "at_risk": True, "secret": chance}).to_parquet(
        world / f"fork-{AT}-state.parquet"
    )
    found = information.study(world, AT, repeats=5)
    hidden = next(item for item in found["learners"] if item["block"] == "hidden")
    assert hidden["features"] == 1
    assert hidden["auc"] > 0.7  # the state tells both groups of PD apart
    assert found["realised"]["defaults"] == 1
    assert found["bound"]["firms"] == 80


def test_a_missing_fork_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="vinelake economy fork"):
        information.read_fork(tmp_path, AT)
