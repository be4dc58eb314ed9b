"""Imported once by the process that Airflow forks its workers from, so that tasks start without imports.

Together the packages take 15 to 20 seconds to import, and nearly every task needs some of them. Only what
opens no connection and starts no thread on import belongs here, since the process is forked afterwards.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import warnings

MODULES = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "pandas",
    "pyarrow.parquet",
    "pyspark.sql.connect.session",
    "pyspark.sql.functions",
    "great_expectations",
    "great_expectations.expectations.core",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "optbinning",
    "sklearn.linear_model",
    "xgboost",
    "matplotlib.figure",
    "dbt.cli.main",
)


def load() -> list[str]:
    """Imports `MODULES` and returns those that could not be; a task that needs one will say why."""
    missing = []
    for name in MODULES:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            try:
                importlib.import_module(name)
            except Exception:
                missing.append(name)
    gc.collect()
    gc.freeze()  # what is here already is never collected, so forked workers keep sharing its memory
    return missing


load()
