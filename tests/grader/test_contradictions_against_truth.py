"""Contradictions over a small made-up world, as its systems show it: right, blind to what came later and to numbers."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import contradiction_world
import pandas as pd
import pytest
from contradiction_measure import Bench, all_findings, with_firms

from grader import scoring
from grader.truth import World
from sources.economy import content
from spark_jobs.contradictions import catalogue
from tests.economy import synthetic

CUT = date(2020, 2, 1)
# What a source calls its rows; a detector may join by it and must not depend on its order.
NUMBERS = {
    "payment": ("payment_number", "reverses_payment_number"), "payroll_run": ("run_number",),
    "platform_warehouse_receipt": ("receipt_number",), "platform_warehouse_sensor": ("receipt_number",),
    "bank_application": ("application_number",), "field_visit": ("visit_number",),
    "customs_declaration": ("record_id",), "ledger_invoice": ("record_id",), "land_plot": ("plot_number",),
    "plot_observation": ("plot_number",), "platform_machine": ("machine_id",), "equipment_reading": ("machine_id",),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """180 firms and a year and a half, in which a few of every kind lie."""
    out = tmp_path_factory.mktemp("contradictions") / "world"
    data = synthetic.world(out, firms=180, years=1.5, seed=12)
    content.derive(data)
    for name, table in data.population.tables.items():
        data.writer.write(name, table)
    data.writer.flush()
    last = str(data.first_day + data.days - 1)
    (out / "world.json").write_text(json.dumps({"seed": 12, "first_day": "2019-01-01", "last_day": last}))
    return World.open(out)


@pytest.fixture(scope="module")
def silver(world: World) -> Path:
    folder = world.folder.with_name("silver")
    contradiction_world.write(world.folder, folder)
    return folder


@pytest.fixture(scope="module")
def found(silver: Path) -> pd.DataFrame:
    return all_findings(Bench(silver), catalogue.load())


def test_most_of_what_is_told_is_true(world: World, found: pd.DataFrame) -> None:
    said = with_firms(world, found).assign(found_on=pd.to_datetime(found["found_on"]))
    judged = scoring.judge_findings(said[["firm_id", "kind", "found_on"]], world.planted(world.last_day))
    right = judged["verdict"] == "right"
    assert judged["kind"].nunique() >= 6 and len(judged) >= 12
    assert right.mean() >= 0.8, judged[~right]


def test_what_came_later_moves_nothing(silver: Path, found: pd.DataFrame) -> None:
    then = all_findings(Bench(silver, CUT), catalogue.load())
    now, then = (f[pd.to_datetime(f["found_on"]) <= pd.Timestamp(CUT)].reset_index(drop=True) for f in (found, then))
    assert len(now) >= 4
    pd.testing.assert_frame_equal(now, then, check_dtype=False)


def test_other_numbers_of_the_sources_change_nothing(silver: Path, found: pd.DataFrame) -> None:
    """Every row's own number is replaced by a digest of it, which says nothing of order or distance."""
    bench = Bench(silver)
    bench.folder = silver / "_renumbered"
    bench.folder.mkdir()
    for table, columns in NUMBERS.items():
        digest = "if({0} is null, null, (hash({0}) >> 2)::BIGINT)" if table == "payment" else "md5({0})"
        cells = ", ".join(f"{digest.format(column)} AS {column}" for column in columns)
        where = silver / f"{table}.parquet"
        where = where if where.exists() else silver / table / "*.parquet"
        bench.db.execute(f"create or replace view {table} as select * replace ({cells}) from read_parquet('{where}')")
    again = all_findings(bench, catalogue.load())
    pd.testing.assert_frame_equal(found, again, check_dtype=False)
