"""Questions of people: any published table, now or as known at a date, and nothing but published tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from lakehouse import engine, query, tables
from lakehouse.settings import Settings

pytestmark = pytest.mark.engine

TABLES = {
    "silver.loan": (
        "loan_id string, version_no int, principal int, known_at timestamp",
        "('L1', 1, 100, timestamp'2020-03-01'), ('L1', 2, 90, timestamp'2020-04-01'), "
        "('L1', 3, 100, timestamp'2020-06-01'), ('L2', 1, 7, timestamp'2020-04-01 00:00:01')",
    ),
    "bronze.bank__loan": (
        "loan_id string, principal int, known_at timestamp",
        "('L1', 100, timestamp'2020-03-01'), ('L1', 90, timestamp'2020-04-01')",
    ),
    "gold.enterprise_features": (
        "enterprise_id string, as_of date, sales int", "('E1', date'2020-03-01', 5), ('E1', date'2020-05-01', 6)",
    ),
    "gold.flow": ("known_on date, fen int", "(date'2020-03-02', 1), (date'2020-04-02', 2)"),
    "gold.grade": ("grade string", "('A'), ('B')"),
}  # fmt: skip


@pytest.fixture
def ask(lakehouse: Settings) -> Iterator[Callable[..., list[tuple]]]:
    """Asks in the test's lakehouse: `{silver}` in a statement stands for the schema's name in it."""
    names = {layer: lakehouse.schema_name(layer) for layer in tables.LAYERS}
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        versions = {}
        for table, (columns, values) in TABLES.items():
            frame = spark.sql(
                f"SELECT * FROM VALUES {values} AS t({', '.join(c.split()[0] for c in columns.split(', '))})"
            )
            tables.overwrite(frame, table)
            versions[table] = tables.build_version(spark, table)
        tables.publish(spark, versions, "test", "2020-06-01")

        def run(statement: str, as_of: str | None = None) -> list[tuple]:
            text = statement.format(**names)
            return [tuple(r) for r in query.run(spark, text, date.fromisoformat(as_of) if as_of else None).collect()]

        run.spark = spark  # type: ignore[attr-defined]
        yield run


def test_each_layer_is_read_as_known_at_a_date(ask: Callable[..., list[tuple]]) -> None:
    loans = "SELECT loan_id, principal FROM {silver}.loan ORDER BY 1"
    assert len(ask(loans)) == 4  # without a date: every version
    assert ask(loans, "2020-02-29") == []
    assert ask(loans, "2020-03-31") == [("L1", 100)]
    assert ask(loans, "2020-04-01") == [("L1", 90)]
    assert ask(loans, "2020-04-02") == [("L1", 90), ("L2", 7)]
    assert ask(loans, "2020-06-01") == [("L1", 100), ("L2", 7)]
    assert ask("SELECT count(*) FROM {bronze}.bank__loan", "2020-03-31") == [(1,)]
    features = "SELECT sales FROM {gold}.enterprise_features ORDER BY as_of"
    assert (ask(features), ask(features, "2020-04-30")) == ([(5,), (6,)], [(5,)])
    assert ask("SELECT sum(fen) FROM {gold}.flow", "2020-04-01") == [(1,)]
    assert ask("SELECT count(*) FROM {gold}.grade", "2020-01-01") == [(2,)]

    # aliases, joins, self-joins, subqueries, set operations, common table expressions, upper case, full names
    joined = "SELECT a.principal, b.principal FROM {silver}.loan a JOIN {bronze}.bank__loan AS b USING (loan_id)"
    assert ask(joined, "2020-03-31") == [(100, 100)]
    assert ask("SELECT loan.principal FROM {silver}.loan JOIN {silver}.loan other USING (loan_id)", "2020-04-01") == [
        (90,)
    ]
    assert ask("SELECT (SELECT max(principal) FROM {silver}.loan) FROM {gold}.grade", "2020-04-01") == [(90,), (90,)]
    union = "SELECT principal FROM {silver}.loan UNION ALL SELECT principal FROM {bronze}.bank__loan ORDER BY 1"
    assert ask(union, "2020-03-31") == [(100,), (100,)]
    common = "WITH loan AS (SELECT principal * 2 AS p FROM {silver}.loan) SELECT p FROM loan"
    assert ask(common, "2020-04-01") == [(180,)]
    assert ask("SELECT PRINCIPAL FROM {silver}.LOAN", "2020-04-01") == [(90,)]
    assert ask("SELECT principal FROM spark_catalog.{silver}.loan AS x WHERE x.loan_id = 'L1'", "2020-04-01") == [(90,)]
    assert ask("SELECT id FROM range(2)", "2020-04-01") == [(0,), (1,)]
    assert ask("SELECT 1;") == [(1,)]
    spark = ask.spark  # type: ignore[attr-defined]
    statement = f"SELECT known_at, loan_id, known_at FROM {tables.published_name('silver.loan')} WHERE version_no = 3"
    shown = query.in_business_time(query.run(spark, statement))
    assert [tuple(r) for r in shown.collect()] == [("2020-06-01 00:00:00", "L1", "2020-06-01 00:00:00")]
    assert {t: v for t, v, _ in query.listing(spark)}.keys() == TABLES.keys()
