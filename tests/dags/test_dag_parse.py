"""Parsing happens every minute in the DAG processor, so it must not load the engine or the models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("pyspark", "mlflow", "great_expectations", "dbt", "sklearn", "xgboost", "optbinning", "matplotlib", "pandas")
PROGRAM = """
import json, sys
sys.path.insert(0, "dags")
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
print(json.dumps({"dags": len(bag.dags), "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_parsing_loads_nothing_heavy(tmp_path):
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["dags"] >= 7
    assert not set(HEAVY) & set(found["modules"])
