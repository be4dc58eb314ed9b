"""Questions put to a real lakehouse: what is published is read, what is not is said to be missing."""

from __future__ import annotations

import json
from datetime import date

import pytest
from click.testing import CliRunner

from grader import ask
from grader.cli import grade
from grader.questions import QUESTIONS
from grader.truth import World
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
            versions[table] = tables.build_version(table)
        tables.publish(spark, versions, "test", "2023-06-01")
        now, then = ask.ask_all(spark, None), ask.ask_all(spark, date(2022, 6, 1))
    assert set(now) == set(QUESTIONS)
    assert len(now["defaults"].rows) == 2
    assert list(now["defaults"].rows.columns) == ["enterprise_id", "as_of", "pd"]
    assert len(then["defaults"].rows) == 1
    assert now["alerts"].missing == "gold.alert has no column source"
    assert now["flows"].missing == "gold.trade_match is not published"


def test_the_command_says_what_is_not_answered_yet(lakehouse: Settings, world: World) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        tables.overwrite(
            spark.sql("SELECT 'e5' AS enterprise_id, date'2022-01-01' AS as_of, 0.5 AS pd"), "gold.enterprise_score"
        )
        tables.overwrite(spark.sql("SELECT 'e5' AS enterprise_id, 'U5' AS uscc"), "silver.enterprise")
        names = ("gold.enterprise_score", "silver.enterprise")
        tables.publish(spark, {name: tables.build_version(name) for name in names}, "test", "2023-06-01")
    done = CliRunner().invoke(grade, ["--world", str(world.folder), "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.output.splitlines()]
    unanswered = {row["question"] for row in rows if row["measure"] == "not answered yet"}
    assert unanswered == {"identity", "frauds", "flows", "alerts"}
    scored = next(row for row in rows if row["measure"] == "borrowers scored")
    assert (scored["value"], scored["cases"]) == (0.2, 5)
