"""Contradictions on the engine: every statement is understood, findings equal DuckDB's, what was told stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import engine
from lakehouse.settings import get_settings
from spark_jobs.contradictions import job, statement
from tests import contradiction_cases as cases
from tests.contradiction_cases import FIRMS, KINDS, LIAR, Silver

pytestmark = [pytest.mark.engine, pytest.mark.apart]

TRIED = [KINDS[name] for name in ("farm_area", "double_pledge")]


@pytest.fixture(scope="module")
def silver() -> Silver:
    """A farm and two heaps of a liar, a look-alike and an honest firm."""
    claims = dict(zip(FIRMS, ((150.0, 149.0), (100.0, 60.0), (101.0, 100.0), (140.0, 100.0)), strict=True))
    twins = {LIAR: (1000, 1000, 0.0, "A1", "A7"), FIRMS[1]: (600, 400, 0.0, "B1", "B1"),
             FIRMS[2]: (900, 900, 0.4, "C1", "D1")}  # fmt: skip
    return Silver(cases.farms(claims) | cases.warehouse(twins))


@pytest.fixture(scope="module")
def session(running_engine: None) -> Iterator:
    patch = pytest.MonkeyPatch()
    patch.setenv("VINELAKE_ENVIRONMENT", "contradictions")
    get_settings.cache_clear()
    with engine.session("test_contradictions") as spark:
        yield spark
    patch.undo()
    get_settings.cache_clear()


def views(spark, silver: Silver, folder: Path) -> dict[str, str]:
    """The same tables on the engine, moments as moments of business time."""
    found = {}
    for table in silver.relations.values():
        rows = silver.db.sql(f"select * from {table}").to_arrow_table()
        kinds = [pa.timestamp("us") if pa.types.is_timestamp(f.type) else f.type for f in rows.schema]
        path = folder / f"{table}.parquet"
        pq.write_table(rows.cast(pa.schema(list(zip(rows.column_names, kinds, strict=True)))), path)
        read = spark.read.parquet(str(path))
        cells = [f"cast({n} AS timestamp) AS {n}" if t == "timestamp_ntz" else n for n, t in read.dtypes]
        read.selectExpr(*cells).createOrReplaceTempView(f"case_{table}")
        found[f"silver.{table}"] = f"case_{table}"
    return found


def test_findings_on_the_engine_equal_those_of_duckdb(session, silver: Silver, tmp_path: Path) -> None:
    plan = statement.plan(TRIED, views(session, silver, tmp_path))
    with job.prepared(session, plan):
        told = job.compute(session, TRIED, plan, date(2021, 1, 1)).toPandas()
        earlier = job.compute(session, TRIED, plan, date(2020, 3, 31)).toPandas()
    shared = ["kind", *statement.KEYS, "broken_checks"]
    wanted = pd.concat([silver.found(kind.name).assign(kind=kind.name) for kind in TRIED])[shared]
    for frame in (told, wanted):
        for column in ("period_from", "period_to", "found_on"):
            frame[column] = pd.to_datetime(frame[column])
    assert len(wanted) == 3
    pd.testing.assert_frame_equal(
        told[shared].sort_values(shared, ignore_index=True), wanted.sort_values(shared, ignore_index=True),
        check_dtype=False,
    )  # fmt: skip
    assert list(earlier["kind"]) == ["double_pledge"]
    row = told[(told["kind"] == "double_pledge")].iloc[0]
    assert row["evidence"] == "identical_sensor_series 1.00 (at least 0.8); same_quantity_two_lenders 1.00 (at least 1)"
    assert {c["check"]: c["is_broken"] for c in row["checks"]}["same_lot_code"] is False
    assert set(row["sources"]) >= {"silver.platform_warehouse_receipt", "silver.platform_warehouse_sensor"}
    assert not list((get_settings().warehouse_dir).glob(f"*/{statement.PREFIX}_*/*"))  # steps with tokens do not stay


def test_what_was_told_stays_as_it_was_told(session) -> None:
    columns = "enterprise_id string, kind string, found_on date, evidence string"
    held = session.createDataFrame([("a", "farm_area", date(2020, 4, 1), "as told")], columns)
    again = [
        ("a", "farm_area", date(2020, 4, 1), "other words"),
        ("a", "farm_area", date(2020, 5, 1), "a little later"),
        ("a", "farm_area", date(2021, 4, 1), "a year later"),
        ("b", "farm_area", date(2020, 4, 1), "another"),
        ("a", "pos_ring", date(2020, 4, 1), "another kind"),
    ]
    rows = job.added(session.createDataFrame(again, columns), held, list(KINDS.values())).collect()
    assert sorted(r["evidence"] for r in rows) == ["a year later", "another", "another kind", "as told"]


def test_the_engine_understands_every_statement(session) -> None:
    relations = {}
    for table in cases.tables_read():
        cells = ", ".join(f"cast(null AS {kind}) AS {name}" for name, kind in cases.columns_of(table).items())
        session.sql(f"SELECT {cells} WHERE false").createOrReplaceTempView(f"empty_{table}")
        relations[f"silver.{table}"] = f"empty_{table}"
    plan = statement.plan(list(KINDS.values()), relations)
    matches = statement.match_plan(relations)
    assert not plan.left_out and not matches.left_out
    steps = {step.view: step for step in (*plan.facts, *matches.facts)}
    for step in steps.values():  # as tables of their own, for a statement over all of them is planned for minutes
        fields = session.sql(step.sql).schema.fields
        cells = ", ".join(f"cast(null AS {f.dataType.simpleString()}) AS {f.name}" for f in fields)
        session.sql(f"SELECT {cells} WHERE false").createOrReplaceTempView(step.view)
    for kind in KINDS.values():
        step = plan.figures[kind.name]
        session.sql(step.sql).createOrReplaceTempView(step.view)
        assert "evidence" in session.sql(job.told(kind, step, plan.registered, "x")).columns, kind.name
