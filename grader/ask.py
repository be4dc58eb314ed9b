"""Puts the declared questions to the lakehouse through its public query function, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from grader.questions import QUESTIONS, Question

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Answer:
    """Rows of an answer, or why there is none."""

    question: Question
    rows: pd.DataFrame | None = None
    missing: str = ""

    @property
    def given(self) -> bool:
        """Whether the lakehouse answers this question."""
        return self.rows is not None


def ask_all(spark: SparkSession, as_of: date | None) -> dict[str, Answer]:
    """Every question's answer, as known at the date."""
    from lakehouse import query

    published = {name: set(columns) for name, _, columns in query.listing(spark)}
    return {name: ask(spark, question, published, as_of) for name, question in QUESTIONS.items()}


def ask(spark: SparkSession, question: Question, published: dict[str, set[str]], as_of: date | None) -> Answer:
    """One question's answer; a table or column that is not published is an answer not given, no error."""
    from lakehouse import query
    from lakehouse.settings import get_settings

    if question.table not in published:
        return Answer(question, missing=f"{question.table} is not published")
    absent = sorted(set(question.columns) - published[question.table])
    if absent:
        return Answer(question, missing=f"{question.table} has no column {', '.join(absent)}")
    layer, _, name = question.table.partition(".")
    statement = question.statement(f"{get_settings().schema_name(layer)}.{name}")
    return Answer(question, query.run(spark, statement, as_of).toPandas())
