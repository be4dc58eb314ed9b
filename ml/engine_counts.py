"""Fine bins counted inside the engine, from a frozen sample on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ml.binning import BinCounts, count_sql, counts_from_rows
from ml.snapshot import ROWS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VIEW = "frozen_sample"


class EngineCounter:
    """Counts fine bins by one Spark SQL aggregate over the frozen Parquet rows.

    The engine must see the snapshot's folder: true for the embedded engine, and for a cluster that mounts it.
    """

    def __init__(self, spark: SparkSession, snapshot: Path) -> None:
        self.spark, self.path = spark, snapshot / ROWS

    def __call__(self, rows: pd.DataFrame, is_bad: np.ndarray, edges: Mapping[str, np.ndarray]) -> dict[str, BinCounts]:
        self.spark.read.parquet(f"file://{self.path}").createOrReplaceTempView(VIEW)
        found = self.spark.sql(count_sql(VIEW, edges, "is_bad")).collect()
        return counts_from_rows([(row[0], row[1], row[2]) for row in found], edges)
