"""Since when two versions of a table tell different things: found by content and by the day on which it was known."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse import engine, tables
from lakehouse.settings import Settings
from spark_jobs import changes

pytestmark = [pytest.mark.engine]
TABLE, COLUMNS = "silver.loan", "loan_id string, lender string, amount int, known_at string"
FIRST = [("a", "x", 1, "2024-01-01 00:00:00"), ("b", None, 2, "2024-02-01 09:00:00")]


def put(spark, rows: list[tuple]) -> int:
    """A version of the table with these rows."""
    frame = spark.createDataFrame(rows, COLUMNS)
    tables.overwrite(frame.withColumn("known_at", frame.known_at.cast("timestamp")), TABLE)
    return tables.build_version(TABLE)


def test_the_first_day_is_that_of_the_first_row_that_one_side_has(lakehouse: Settings) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        first = put(spark, FIRST)

        def since(rows: list[tuple], **named) -> date | None:
            return changes.first_known(spark, {TABLE: first}, {TABLE: put(spark, rows)}, **named)

        assert changes.first_known(spark, {}, {TABLE: first}) == date(2024, 1, 1)
        assert changes.first_known(spark, {TABLE: first}, {TABLE: first}) is None
        assert since(FIRST[::-1]) is None, "the same rows in other files"
        assert since([*FIRST, ("c", "x", 3, "2024-01-15 00:00:01")]) == date(2024, 1, 16)
        assert since([FIRST[0]]) == date(2024, 2, 2), "known during a day is known the day after"
        assert since([FIRST[0], FIRST[1], FIRST[1]]) == date(2024, 2, 2), "the same row twice"
        assert since([("a", "x", 7, FIRST[0][3]), FIRST[1]]) == date(2024, 1, 1)
        assert since([FIRST[0], (None, "b", 2, FIRST[1][3])]) == date(2024, 2, 2), "a value in another column"
        assert since([FIRST[0], ("b", "y", 2, FIRST[1][3])], without={TABLE: ["lender"]}) is None

        # Appended: only the new file is read.
        second = put(spark, FIRST)
        spark.sql(f"INSERT INTO {tables.build_name(TABLE)} VALUES ('d', 'x', 4, timestamp'2024-03-01 00:00:00')")
        third = tables.build_version(TABLE)
        assert changes.first_known(spark, {TABLE: second}, {TABLE: third}) == date(2024, 3, 1)


def test_what_cannot_be_told_is_everything(lakehouse: Settings) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        first = put(spark, FIRST)
        assert changes.first_known(spark, {TABLE: first, "silver.gone": 1}, {TABLE: first}) == date.min
        assert changes.first_known(spark, {TABLE: 99}, {TABLE: first}) == date.min
        tables.overwrite(spark.table(tables.build_name(TABLE)).withColumnRenamed("amount", "sum"), TABLE)
        now = tables.build_version(TABLE)
        assert changes.first_known(spark, {TABLE: first}, {TABLE: now}) == date.min
