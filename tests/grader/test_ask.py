"""Questions put to a real lakehouse: what is published is read, what is not is said to be missing."""

from __future__ import annotations

from datetime import date

import pytest

from grader import ask
from grader.questions import QUESTIONS
from lakehouse import engine, tables
from lakehouse.settings import Settings

pytestmark = pytest.mark.engine


def test_published_tables_answer_and_others_do_not(lakehouse: Settings) -> None:
    contents = {
        "gold.enterprise_score": (
            "SELECT * FROM VALUES ('E1', date'2022-01-01', 0.1, 'x'), ('E1', date'2023-01-01', 0.2, 'x') "
            "AS t(enterprise_id, as_of, pd, more)"
        ),
        "gold.alert": "SELECT 'E1' AS enterprise_id, date'2022-01-01' AS alerted_on",
    }
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        versions = {}
        for table, statement in contents.items():
            tables.overwrite(spark.sql(statement), table)
            versions[table] = tables.build_version(spark, table)
        tables.publish(spark, versions, "test", "2023-06-01")
        now, then = ask.ask_all(spark, None), ask.ask_all(spark, date(2022, 6, 1))
    assert set(now) == set(QUESTIONS)
    assert len(now["defaults"].rows) == 2
    assert list(now["defaults"].rows.columns) == ["enterprise_id", "as_of", "pd"]
    assert len(then["defaults"].rows) == 1
    assert now["alerts"].missing == "gold.alert has no column source"
    assert now["flows"].missing == "gold.trade_match is not published"
