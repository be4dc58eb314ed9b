"""Imported once by the process that Airflow forks its workers from, so that tasks start without imports.

Only packages that open no connection and start no thread on import belong here.
"""

from __future__ import annotations

import contextlib
import importlib

for name in (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "pandas",
    "pyarrow.parquet",
    "pyspark.sql.connect.session",
    "pyspark.sql.functions",
):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
