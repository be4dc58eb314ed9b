"""Questions of people: any published table, now or as known at a date, and nothing but published tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest

from lakehouse import engine, known, query, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import Settings

pytestmark = pytest.mark.engine

TABLES = {
    "silver.loan": (
        "loan_id string, version_no int, principal int, known_at timestamp",
        "('L1', 1, 100, timestamp'2020-03-01'), ('L1', 2, 90, timestamp'2020-04-01'), "
        "('L1', 3, 100, timestamp'2020-06-01'), ('L2', 1, 7, timestamp'2020-04-01 00:00:01')",
    ),
    "silver.tax_return": (
        "taxpayer_id string, period_start date, sales int, version_no int, is_deleted boolean, known_at timestamp",
        "('T1', date'2020-01-01', 5, 1, false, timestamp'2020-02-10'), "
        "('T1', date'2020-01-01', 5, 2, true, timestamp'2020-05-10'), "
        "('T1', date'2020-02-01', 6, 2, false, timestamp'2020-03-10'), "  # its first version comes late
        "('T1', date'2020-02-01', 4, 1, false, timestamp'2020-04-10')",
    ),
    "silver.identity_link": (
        "mention_id string, enterprise_id string, effective_from date, effective_to date, segment_no int, "
        "version_no int, known_at timestamp",
        "('m', 'E1', null, date'2020-03-01', 1, 2, timestamp'2020-04-01'), "
        "('m', 'E2', date'2020-03-01', null, 2, 2, timestamp'2020-04-01'), "
        "('m', 'E1', null, null, 1, 1, timestamp'2020-01-05')",
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
            versions[table] = tables.build_version(table)
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


def test_as_known_is_one_thing_in_python_sql_and_dbt(ask: Callable[..., list[tuple]]) -> None:
    from spark_jobs import dbt_run

    spark, day = ask.spark, "2020-04-15"  # type: ignore[attr-defined]

    def python(table: str, as_of: str, effective_on: str | None = None) -> list[tuple]:
        effective = date.fromisoformat(effective_on) if effective_on else None
        return sorted(tuple(r) for r in known.as_known(spark, table, date.fromisoformat(as_of), effective).collect())

    returns = "SELECT * FROM {silver}.tax_return"
    for as_of, sales in (("2020-03-01", [5]), ("2020-03-10", [5, 6]), (day, [5, 6]), ("2020-05-10", [6])):
        told = python("silver.tax_return", as_of)
        assert [row[2] for row in told] == sales, as_of
        assert sorted(ask(returns, as_of)) == told
    # A key passes on: all segments of the version known by then, or the one that holds on a day.
    assert [row[1] for row in python("silver.identity_link", "2020-03-15")] == ["E1"]
    assert [row[1] for row in python("silver.identity_link", day)] == ["E1", "E2"]
    assert [row[1] for row in python("silver.identity_link", day, "2020-02-29")] == ["E1"]
    assert [row[1] for row in python("silver.identity_link", day, "2020-03-01")] == ["E2"]

    name = tables.published_name("silver.tax_return")
    macro = f"as_known('{name}', ['taxpayer_id', 'period_start'], \"timestamp'{day} 00:00:00'\", deletes=true)"
    compiled = dbt_run.invoke("compile", ["--inline", "{{ " + macro + " }}"], {"as_of_dates": [day]})
    text = compiled[-1].node.compiled_code
    assert sorted(tuple(r) for r in spark.sql(text).collect()) == python("silver.tax_return", day)

    for table, effective, told in (
        ("silver.no_such", None, "not published"), ("gold.flow", None, "no versions"),
        ("silver.tax_return", "2020-01-01", "do not hold for a time"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            python(table, day, effective)
