"""Reading published tables into memory; the only reads of lakehouse tables by model development."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from lakehouse import direct, tables
from lakehouse.errors import ModelError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FEATURES = "gold.enterprise_features"
LOAN_COLUMNS = [
    "loan_id",
    "enterprise_id",
    "version_no",
    "known_at",
    "drawn_on",
    "closed_on",
    "dpd31_on",
    "dpd90_on",
    "guarantor_paid_on",
    "written_off_on",
]
RECORD_COLUMNS = ["enterprise_id", "version_no", "known_at", "is_bad"]


@dataclass(frozen=True)
class Inputs:
    """What a sample is made of, as published at one moment."""

    features: pd.DataFrame
    loans: pd.DataFrame
    records: pd.DataFrame
    manifest_id: int
    feature_version: int


def to_pandas(df: DataFrame) -> pd.DataFrame:
    """All rows in memory, without the query's metrics that Connect attaches (they cannot be stored)."""
    frame = df.toPandas()
    frame.attrs = {}
    return frame


def feature_version() -> int:
    """The published version of the features; an error when there is none."""
    version = tables.current_manifest().versions.get(FEATURES)
    if version is None:
        raise ModelError(
            "there are no published features", where=FEATURES, remedy="run `build_features` for the partition first"
        )
    return int(version)


def as_of_dates() -> list[date]:
    """Observation dates the published features hold, ascending; ConfigError where none are published."""
    return direct.distinct(FEATURES, tables.current_manifest(), "as_of")


def _optional(spark: SparkSession, table: str, columns: list[str]) -> pd.DataFrame:
    """A published table's columns, or an empty frame where no source delivers it."""
    if not tables.is_published(spark, table):
        return pd.DataFrame(columns=columns)
    return to_pandas(tables.read(spark, table).select(*columns))


def read_inputs(spark: SparkSession, until: date) -> Inputs:
    """Features of all observation dates up to a date, and all versions of outcomes."""
    version = feature_version()
    features = to_pandas(tables.read(spark, FEATURES).where(f"as_of <= date'{until.isoformat()}'"))
    return Inputs(
        features,
        _optional(spark, "silver.loan", LOAN_COLUMNS),
        _optional(spark, "silver.credit_record", RECORD_COLUMNS),
        tables.current_manifest().manifest_id,
        version,
    )
