"""Every planted kind breaks at least two checks on visible columns; honest look-alikes break one of them at most."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from sources.economy import content
from sources.economy.planted.catalogue import KIND, KINDS
from sources.economy.schema import TABLES
from tests.economy import checks, synthetic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up history of 900 firms and two years with everything derived from it."""
    out = tmp_path_factory.mktemp("world")
    data = synthetic.world(out, firms=900, years=2.0, seed=12)
    content.derive(data)
    for name, table in data.population.tables.items():
        data.writer.write(name, table)
    data.writer.flush()
    return out


@pytest.fixture(scope="module")
def world(folder: Path) -> duckdb.DuckDBPyConnection:
    return checks.opened(folder)


def split(world, query: str, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Figures of lies and of look-alikes."""
    frame = checks.episodes(world, query, kind)
    return frame[~frame["look_alike"]], frame[frame["look_alike"]]


def test_every_kind_names_two_checks_and_has_look_alikes(world):
    rows = world.execute("select kind, look_alike, checks, knows_rule from truth.planted").df()
    for kind in KINDS:
        mine = rows[rows["kind"] == kind.name]
        lies, alike = mine[~mine["look_alike"]], mine[mine["look_alike"]]
        assert len(lies) >= 5, kind.name
        assert len(alike) >= 1, kind.name
        assert lies["checks"].str.split(",").map(len).min() >= 2, kind.name
        assert 0.15 <= lies["knows_rule"].mean() <= 0.6, kind.name


def test_look_alikes_do_not_lie(world):
    rows = world.execute(f"select look_alike, firm_id from ({checks.EPISODES})").df()
    assert not set(rows.loc[rows["look_alike"], "firm_id"]) & set(rows.loc[~rows["look_alike"], "firm_id"])


def test_rings_invoice_without_goods_or_energy(world):
    lies, alike = split(world, checks.UNDELIVERED, "invoice_ring")
    assert lies["undelivered"].min() > 0.05
    assert alike["undelivered"].max() < 0.02
    raised, _ = split(world, checks.SALES_PER_KWH, "invoice_ring")
    assert raised["raised"].median() > 1.15


def test_naive_rings_pay_in_a_circle_on_one_day(world):
    lies, alike = split(world, checks.CIRCULAR_PAYMENTS, "invoice_ring")
    knows = world.execute("select planted_id, knows_rule from truth.planted").df()
    naive = lies.merge(knows[~knows["knows_rule"]])
    assert (naive["circular_days"] >= 3).mean() > 0.9
    assert alike["circular_days"].max() == 0


def test_fake_sales_are_never_paid_and_reversed(world):
    lies, _ = split(world, checks.UNPAID, "fake_sales")
    undelivered, honest = split(world, checks.UNDELIVERED, "fake_sales")
    assert undelivered["undelivered"].min() > 0.05
    assert honest["undelivered"].max() < 0.02
    assert lies["reversed"].min() > 0.05


def test_understated_sales_fall_short_of_receipts_or_invoices(world):
    lies, alike = split(world, checks.DECLARED, "understated_sales")
    assert lies["taken_ratio"].min() > 1.15
    assert alike["invoices_ratio"].fillna(1.0).max() < 1.05


def test_understated_heads_against_payroll_and_visits(world):
    lies, alike = split(world, checks.HEADS, "understated_heads")
    naive, knowing = lies[~lies["knows_rule"]], lies[lies["knows_rule"]]
    assert naive["payroll_ratio"].min() > 1.25
    assert knowing["payroll_ratio"].median() < 1.1
    assert lies["seen_ratio"].median() > 1.3
    assert alike["payroll_ratio"].max() < 1.25


def test_padded_payroll_comes_back(world):
    lies, alike = split(world, checks.WAGES_BACK, "padded_payroll")
    assert (lies["back_fen"] > 0).all()
    assert alike["back_fen"].fillna(0).max() == 0
    heads, _ = split(world, checks.HEADS, "padded_payroll")
    assert heads["payroll_seen_ratio"].median() > 1.25


def test_pos_rings_pay_back_and_show_few_cards_at_night(world):
    lies, alike = split(world, checks.POS, "pos_ring")
    assert lies["back_ratio"].min() > 0.2
    naive = lies[~lies["knows_rule"]]
    assert naive["top"].min() > 3 * alike["top"].max()
    assert naive["night"].min() > 0.2
    assert alike["night"].min() > 0.5
    assert alike["back_ratio"].max() < 0.05


def test_spoofed_telemetry_has_output_without_energy(world):
    lies, alike = split(world, checks.TELEMETRY, "spoofed_telemetry")
    assert lies["output_per_metered"].min() > 1.15
    assert lies.loc[~lies["knows_rule"], "output_per_own_energy"].min() > 1.15
    assert alike["output_per_metered"].between(0.9, 1.1).all()
    pattern, steady = split(world, checks.HOUR_PATTERN, "spoofed_telemetry")
    assert pattern.loc[~pattern["knows_rule"], "spread"].max() < 0.02
    assert steady["spread"].max() < 0.03


def test_cooked_statements_stand_above_the_tax_return(world):
    lies, alike = split(world, checks.STATEMENTS, "cooked_statement")
    assert lies["revenue_ratio"].min() > 1.15
    assert alike["revenue_ratio"].between(1.03, 1.3).all()
    honest = world.execute("""
        select median(s.revenue_fen / d.fen) from statement s
        join (select firm_id, year(period) as year, sum(declared_sales_fen) as fen from tax_return group by 1, 2) d
        using (firm_id, year)""").fetchone()[0]
    assert honest == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("kind", ["false_receipt", "secret_withdrawal"])
def test_warehouse_frauds_show_on_two_sensors_even_with_one_spoofed(world, kind):
    lies, alike = split(world, checks.SENSORS, kind)
    full = {"weight_kg": 12.5, "volume_m3": 0.021, "camera_boxes": 0.25}
    for table in (lies, alike):
        table["level"] = table["lowest"] / table["sensor"].map(full)
    seen = lies[lies["level"] < 0.75].groupby("planted_id")["sensor"].nunique()
    assert set(seen.index) == set(lies["planted_id"])
    assert seen.min() >= 2
    spoofed = lies[lies["knows_rule"] & (lies["sensor"] == "weight_kg")]
    assert spoofed["level"].min() > 0.95
    assert alike["level"].min() > 0.85


def test_double_pledges_share_one_heap(world):
    lies, alike = split(world, checks.TWINS, "double_pledge")
    assert (lies["same_readings"] == 1.0).all()
    assert lies["two_lenders"].all()
    assert lies["same_quantity"].all()
    assert (lies["same_code"] == ~lies["knows_rule"]).all()
    assert alike["same_code"].all()
    assert not (alike["same_readings"] == 1.0).any()


def test_farm_areas_against_the_satellite(world):
    lies, alike = split(world, checks.FARMS, "farm_area")
    assert lies["claimed_sensed"].min() > 1.2
    assert lies.loc[lies["knows_rule"], "claimed_registered"].max() < 1.05
    assert alike["claimed_sensed"].between(0.9, 1.1).all()
    assert alike["claimed_registered"].min() > 1.3


def test_customs_values_against_invoices(world):
    lies, alike = split(world, checks.INVOICED_AND_DECLARED, "inflated_customs")
    assert lies["matched"].max() < 0.2
    assert alike["matched"].min() > 0.95
    price, dear = split(world, checks.CUSTOMS, "inflated_customs")
    assert price.loc[~price["knows_rule"], "price_ratio"].min() > 1.2
    assert dear["price_ratio"].min() > 1.3


def test_stock_shown_to_visitors_is_not_in_the_reports(world):
    lies, alike = split(world, checks.STOCK, "stock_shown")
    assert lies.loc[~lies["knows_rule"], "seen_ratio"].median() > 1.5
    assert lies.loc[lies["knows_rule"], "seen_ratio"].median() < 1.4
    assert alike["seen_ratio"].median() > 1.5
    jump, _ = split(world, checks.STOCK_JUMP, "stock_shown")
    assert jump.loc[jump["knows_rule"], "reported_ratio"].min() > 1.8
    assert jump.loc[~jump["knows_rule"], "reported_ratio"].max() < 1.4
    assert lies["statement_ratio"].dropna().median() > 1.3


def test_receivables_pledged_twice(world):
    lies, alike = split(world, checks.PLEDGES, "double_financed_receivable")
    assert (lies["twice_at_once"] + lies["without_invoice"]).min() >= 1
    assert lies.loc[lies["knows_rule"], "without_invoice"].min() >= 1
    assert alike["twice_at_once"].max() == 0
    assert alike["without_invoice"].max() == 0


def test_rings_of_applicants_share_a_device(world):
    lies, alike = split(world, checks.APPLICANTS, "application_ring")
    assert (lies["devices"] == 1).all()
    assert (lies["applied"] >= 2).all()
    assert (lies["from_one_device"] == lies["applied"]).all()
    assert (alike["devices"] == alike["firms"]).all()
    assert (alike["addresses"] == 1).all()


def test_circles_of_kin(world):
    lies, alike = split(world, checks.CIRCLES, "guarantee_circle")
    assert (lies["kin"] == lies["guarantees"]).all()
    assert (alike["kin"] == 0).all()


def test_no_id_tells_a_plant(folder):
    """Among rows of one table, planted ones are not older, newer, or bunched in the order of ids."""
    connection = duckdb.connect()
    keys = {
        "payroll_run": "run_id", "warehouse_receipt": "receipt_id", "collateral": "collateral_id",
        "customs_declaration": "declaration_id", "land_plot": "plot_id",
    }  # fmt: skip
    for name, key in keys.items():
        frame = connection.execute(
            f"select {key} as id, planted_id from read_parquet('{folder}/{name}/*.parquet')"
        ).df()
        rank = frame["id"].rank(pct=True)
        marked = frame["planted_id"].notna()
        assert marked.sum() >= 10, name
        error = np.sqrt(1 / 12 / marked.sum())
        assert abs(rank[marked].mean() - 0.5) < 4.5 * error, name


def test_no_classifier_finds_liars_by_the_digits_of_their_keys(folder):
    """A tree ensemble on the characters of a firm's visible numbers ranks liars no better than chance."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_predict

    connection = duckdb.connect()
    firms = connection.execute(f"select * from read_parquet('{folder}/firm/*.parquet') order by firm_id").df()
    lies = connection.execute(f"""
        select distinct unnest(firm_ids) as firm_id from read_parquet('{folder}/planted/*.parquet')
        where not look_alike and kind <> 'application_ring'""").df()
    digits = (firms["uscc"].str[8:] + firms["registration_number"].str[6:]).apply(lambda text: [ord(c) for c in text])
    held = connection.execute(f"""
        select firm_id, department, max(key) as key from read_parquet('{folder}/department_subject/*.parquet')
        where department in ('payments', 'social_insurance', 'electricity', 'core_bank') group by 1, 2""").df()
    keys = held.pivot(index="firm_id", columns="department", values="key").reindex(firms["firm_id"])
    keys = keys.fillna("0" * 12).sum(axis=1).str.ljust(44, "0").apply(lambda text: [ord(c) for c in text[:44]])
    features = np.hstack([np.array(digits.tolist()), np.array(keys.tolist())])
    marked = firms["firm_id"].isin(lies["firm_id"]).to_numpy()
    forest = RandomForestClassifier(120, min_samples_leaf=5, random_state=0)
    score = cross_val_predict(forest, features, marked, cv=5, method="predict_proba")[:, 1]
    rank = pd.Series(score).rank()
    good, bad = (~marked).sum(), marked.sum()
    auc = (rank[marked].sum() - bad * (bad + 1) / 2) / (good * bad)
    error = np.sqrt((good + bad + 1) / (12 * good * bad))
    assert auc < 0.5 + 4 * error


def test_visible_words_of_lies_are_words_of_honest_rows(folder):
    """No text value of a visible column with few values occurs in planted rows alone."""
    connection = duckdb.connect()
    for name, table in TABLES.items():
        if "planted_id" not in table.hidden or not list((folder / name).glob("*.parquet")):
            continue
        view = f"read_parquet('{folder}/{name}/*.parquet')"
        for column in table.visible:
            if table.schema.field(column).type != "string":
                continue
            rows = connection.execute(f"""
                select {column} as word, count(*) filter (planted_id is not null) as lies, count(*) as rows
                from {view} where {column} is not null group by 1""").df()
            if len(rows) > 60:
                continue
            assert (rows["lies"] < rows["rows"]).all(), (name, column)


def test_hidden_columns_hold_the_marks():
    for table in TABLES.values():
        assert not [c for c in table.visible if "planted" in c or "true" in c or "diverted" in c]


def test_catalogue_keeps_two_checks_for_those_who_know():
    for kind in KINDS:
        assert len(kind.checks) >= 2
        assert not set(kind.checks) & set(kind.naive_checks)
        assert len(kind.look_alike_checks) < len(kind.checks) + len(kind.naive_checks)
    assert len(KIND) == 18
