"""Derived tables follow from the history: sums equal the kernel's, keys are valid, physics holds."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import uscc

from sources.economy import content
from sources.economy.content import identity, machines, writing
from sources.economy.interface import WorldData
from sources.economy.schema import TABLES
from tests.economy import synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[WorldData, Path]:
    out = tmp_path_factory.mktemp("world")
    data = synthetic.world(out, firms=240, years=1.5, seed=3)
    content.derive(data)
    data.writer.write("firm", data.population.tables["firm"])
    data.writer.flush()
    return data, out


@pytest.fixture(scope="module")
def rows(made):
    """Reads a table of the world as a frame by SQL over {name} placeholders."""
    _, out = made
    connection = duckdb.connect()

    def read(query: str) -> pd.DataFrame:
        names = {name: f"read_parquet('{out}/{name}/*.parquet')" for name in TABLES}
        return connection.execute(query.format(**names)).df()

    return read


def test_same_seed_same_rows(made, tmp_path):
    data, _ = made
    again = synthetic.world(tmp_path, firms=240, years=1.5, seed=3)
    content.derive(again)
    again.writer.write("firm", again.population.tables["firm"])
    again.writer.flush()
    assert again.writer.hashes == data.writer.hashes


def test_every_derived_table_has_rows(made):
    data, _ = made
    wanted = """firm_change payroll_run pos_day equipment equipment_hour production_day warehouse_receipt
        warehouse_sensor
        tax_return social_insurance housing_fund customs_declaration penalty electricity water gas environment
        land_plot remote_sensing branch_visit statement collateral identity_map department_subject planted"""
    for name in wanted.split():
        assert data.writer.rows.get(name, 0) > 0, name


def test_payroll_runs_are_the_wages_paid(made, rows):
    data, _ = made
    frame = rows("select firm_id, sum(amount_fen) as fen from {payroll_run} where planted_id is null group by 1")
    paid = np.where(data.monthly["wage_paid_day"] >= 0, data.monthly["wage_paid_fen"], 0).sum(axis=0)
    cut = rows("""select distinct unnest(firm_ids) as firm_id from {planted} where kind = 'understated_heads'""")
    honest = frame[~frame["firm_id"].isin(cut["firm_id"])]
    assert len(honest) > 150
    assert (honest["fen"].to_numpy() == paid[honest["firm_id"]]).all()


def test_tax_returns_declare_the_invoices(made, rows):
    """Honest general taxpayers declare by month what they invoiced and sold; the sum over the run is the kernel's."""
    data, _ = made
    frame = rows("select firm_id, sum(declared_sales_fen) as fen from {tax_return} group by 1")
    liars = rows("select distinct unnest(firm_ids) as firm_id from {planted} "
                 "where kind in ('understated_sales', 'invoice_ring') and not look_alike")  # fmt: skip
    honest = frame[~frame["firm_id"].isin(liars["firm_id"])]
    assert (honest["fen"].to_numpy() == data.monthly["sales_fen"].sum(axis=0)[honest["firm_id"]]).all()


def test_small_taxpayers_file_by_quarter_and_exempt_ones_do_not(rows):
    frame = rows("""select taxpayer, month(period) as month, count(*) as n
                    from {tax_return} join {firm} using (firm_id) group by 1, 2""")
    assert set(frame.loc[frame["taxpayer"] == "small", "month"]) <= {1, 4, 7, 10}
    assert set(frame.loc[frame["taxpayer"] == "general", "month"]) == set(range(1, 13))
    assert "exempt" not in set(frame["taxpayer"])


def test_social_insurance_is_what_the_kernel_owed_and_paid(made, rows):
    data, _ = made
    frame = rows("select firm_id, sum(due_fen) as due, sum(paid_fen) as paid from {social_insurance} group by 1")
    assert (frame["due"].to_numpy() == data.monthly["social_due_fen"].sum(axis=0)[frame["firm_id"]]).all()
    assert (frame["paid"] <= frame["due"]).all()


def test_energy_covers_the_machines_and_follows_output(rows):
    frame = rows("""
        with feed as (select m.firm_id, hour_at::date as day, sum(energy_kwh) as kwh, any_value(h.planted_id) as lie
                      from {equipment_hour} h join {equipment} m using (equipment_id) group by 1, 2)
        select feed.*, e.energy_kwh from feed join {electricity} e using (firm_id, day) where lie is null""")
    assert len(frame) > 1000
    assert (frame["kwh"] <= frame["energy_kwh"] * 1.15).mean() > 0.995
    assert np.corrcoef(frame["kwh"], frame["energy_kwh"])[0, 1] > 0.95


def test_telemetry_adds_up_to_the_days_output(made, rows):
    data, _ = made
    frame = rows("""
        select m.firm_id, date_trunc('month', hour_at)::date as month, sum(output_units) as units,
            any_value(h.planted_id) as lie
        from {equipment_hour} h join {equipment} m using (equipment_id)
        where m.installed_on < date '2019-01-01' group by 1, 2""")
    machines_of = rows("select firm_id, count(*) as n from {equipment} group by 1").set_index("firm_id")["n"]
    alive = [f for f in frame["firm_id"].unique() if data.population.founded[f] < -400]
    month = pd.to_datetime(frame["month"]).to_numpy("datetime64[M]").astype(int) - data.months[0].astype(int)
    frame = frame.assign(at=month)
    frame = frame[frame["firm_id"].isin(alive) & frame["lie"].isna()]
    for row in frame.itertuples():
        true = data.daily["output_units"][data.month_of == row.at, row.firm_id].sum()
        assert abs(row.units - true) <= max(2.0 * machines_of[row.firm_id], 0.02 * true)


def test_keys_of_departments_are_their_own(rows):
    frame = rows("select department, key, firm_id from {identity_map}")
    names = set(frame["department"])
    assert {d.name for d in identity.DEPARTMENTS} >= names
    assert len(names) >= 15
    for name, group in frame.groupby("department"):
        held = group.drop_duplicates(["key", "firm_id"])
        order = held["key"].rank().corr(held["firm_id"].rank())
        if name not in ("tax_returns", "vat_invoices", "environment"):
            assert abs(order) < 0.35, name
    assert frame.duplicated(["department", "key", "firm_id"]).sum() == 0


def test_codes_have_valid_check_characters(rows):
    codes = rows("select distinct uscc from {department_subject} where uscc is not null")["uscc"]
    assert len(codes) > 100
    assert all(uscc.is_valid(code) for code in codes)


def test_some_departments_hold_names_with_faults(rows):
    frame = rows("""
        select department, avg((s.name <> f.name)::int) as other, avg((s.uscc is null)::int) as uncoded
        from {department_subject} s join {firm} f using (firm_id) group by 1""").set_index("department")
    assert frame.loc["courts", "other"] > 0.08
    assert frame.loc["vat_invoices", "other"] < 0.1
    assert frame.loc["water", "uncoded"] > 0.5
    assert frame.loc["payments", "uncoded"] == 0


def test_statements_balance_and_come_late(rows):
    frame = rows("select * from {statement}")
    assets = frame[["cash_fen", "receivable_fen", "stock_fen", "fixed_assets_fen"]].sum(axis=1)
    claims = frame[["payable_fen", "bank_debt_fen", "other_debt_fen", "equity_fen"]].sum(axis=1)
    assert ((assets - claims).abs() <= 8 * 1_000_000).all()
    days = (frame["handed_in_on"] - pd.to_datetime(frame["year"].astype(str) + "-12-31")).dt.days
    assert days.between(90, 155).all()
    assert days.median() == pytest.approx(122, abs=12)


def test_visits_have_gaps_and_notes_from_facts(rows):
    frame = rows("select * from {branch_visit}")
    assert 0.05 < frame["staff_seen"].isna().mean() < 0.25
    assert frame["note"].notna().mean() > 0.9
    assert frame["note"].nunique() > 0.5 * len(frame)


def test_satellites_see_nothing_through_clouds(rows):
    frame = rows("select * from {remote_sensing}")
    cloudy = frame["cloud_ratio"] >= 0.6
    assert frame.loc[cloudy, "sensed_area_mu"].isna().all()
    assert frame.loc[~cloudy, "sensed_area_mu"].notna().all()


def test_collateral_of_receivables_was_open_on_the_day(rows):
    frame = rows("""
        select c.*, i.issued_on, i.settled_on from {collateral} c join {loan} l using (loan_id)
        join {invoice} i on i.invoice_number = c.object and i.seller_id = l.firm_id
        where c.kind = 'invoice' and c.planted_id is null""")
    assert len(frame) > 20
    assert (frame["issued_on"] <= frame["from_on"]).all()
    assert (frame["settled_on"].isna() | (frame["settled_on"] > frame["from_on"])).all()


@given(st.lists(st.floats(0.0, 1.2), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_shift_shares_add_up_to_a_day(utilisation):
    shares = machines.shifts(np.array(utilisation))
    assert np.allclose(shares.sum(axis=-1), 1.0, atol=1e-5)
    assert (shares >= 0).all()


@given(st.text(alphabet="恒鑫宏华永瑞盛诚通达德源泰海丰利金嘉昌", min_size=2, max_size=4), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_clerks_name_is_close_to_the_registered_one(brand, seed):
    name = f"宁波{brand}汽配有限公司"
    held = identity.as_held(name, identity.DEPARTMENT["water"], np.random.default_rng(seed))
    assert 2 <= len(held) <= len(name) + 2
    same = sum(a == b for a, b in zip(held, name, strict=False))
    assert same >= 1 or held in name


def test_missing_values_become_null():
    frame = pd.DataFrame(
        {"firm_id": [1, 2], "period": np.array(["2020-01-01", "2020-02-01"], "datetime64[D]"), "insured": [3, 4],
         "base_fen": [10, 20], "due_fen": [1, 2], "paid_fen": [1, 0],
         "paid_on": np.array(["2020-02-15", "NaT"], "datetime64[D]"), "planted_id": [-1, 7]}
    )  # fmt: skip
    table = writing.arrow("social_insurance", frame)
    assert table["paid_on"].to_pylist()[1] is None
    assert table["planted_id"].to_pylist() == [None, 7]
