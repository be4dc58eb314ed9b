"""The DAGs as Airflow's own loader sees them, in a home of their own: no service and no database is used."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

DAGS = Path(__file__).parents[2] / "dags"
PULLED = {"new_batches": ["b1"], "records": {"feed": 3}}

JOBS = {
    "spark_jobs.landing": ["land"],
    "spark_jobs.application_consents": ["record"],
    "spark_jobs.bronze": ["build"],
    "spark_jobs.silver": ["build"],
    "spark_jobs.identity.job": ["build"],
    "spark_jobs.features": ["build"],
    "spark_jobs.contradictions.job": ["build"],
    "spark_jobs.contradictions.trade": ["build"],
    "spark_jobs.freshness": ["build", "check"],
    "spark_jobs.pull.runner": ["pull_department"],
    "expectations.gate": ["gate"],
    "ml.training": ["freeze_dataset", "train"],
    "ml.promotion": ["check", "decide"],
    "ml.scoring": ["score"],
}

# Airflow reads its settings when it is imported first, so its home has to be named before.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="vinelake-dags-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"


@pytest.fixture(scope="session")
def dag_bag():
    """Every file of `dags/`, loaded once."""
    sys.path.insert(0, str(DAGS))  # Airflow does the same with the folder of its DAG bundle
    from airflow.dag_processing.dagbag import DagBag

    yield DagBag(str(DAGS))
    sys.path.remove(str(DAGS))


@pytest.fixture(scope="session")
def dags(dag_bag):
    """DAG by id."""
    return dag_bag.dags


@pytest.fixture(scope="session")
def chain(dag_bag):
    """The module that the DAGs share."""
    return sys.modules["chain"]


@pytest.fixture(scope="session")
def families(chain):
    """The connections that are pulled, as the contracts have them."""
    return chain.source_families()


class Events(dict):
    """Stands for Airflow's accessors of asset events."""

    def __missing__(self, asset):
        self[asset] = SimpleNamespace(extra=None)
        return self[asset]


@pytest.fixture
def calls(monkeypatch):
    """Puts recorders in the place of all job functions; yields what they were called with."""
    seen: list[tuple] = []

    def recorder(name):
        def job(*args, **kwargs):
            seen.append((name, args, kwargs))
            return {"repeated_batches": [], "tables": 1, **PULLED}

        return job

    for module, functions in JOBS.items():
        stand_in = ModuleType(module)
        for function in functions:
            setattr(stand_in, function, recorder(f"{module}.{function}"))
        package, _, name = module.rpartition(".")
        monkeypatch.setitem(sys.modules, module, stand_in)
        monkeypatch.setattr(__import__(package, fromlist=[name]), name, stand_in, raising=False)
    batch = SimpleNamespace(batch_id="b1", sequence=7)
    sys.modules["spark_jobs.landing"].landed = lambda: [batch]
    return seen


@pytest.fixture
def connected(chain, families, monkeypatch, tmp_path):
    """A connections file with every connection that contracts name; gives the function that writes another."""
    import json

    from lakehouse.settings import get_settings

    path = tmp_path / "connections.json"
    monkeypatch.setenv("VINELAKE_CONNECTIONS_FILE", str(path))
    get_settings.cache_clear()

    def write(**settings):
        path.write_text(json.dumps({f.connection: settings for f in families} if settings != {"none": True} else {}))

    write()
    yield write
    get_settings.cache_clear()


@pytest.fixture
def run_task(dags, chain, connected, monkeypatch):
    """Runs a task's function as a worker would, in a run of the given partition key.

    `told` maps (task, XCom key) to what the tasks before it left.
    """

    def run(dag_id, task_id, key, events=(), run_type="manual", option="Approve", told=None):
        function = dags[dag_id].get_task(task_id).python_callable
        outlets, left = Events(), told or {}
        context = {
            "dag_run": SimpleNamespace(dag_id=dag_id, run_id="r1", partition_key=key, run_type=run_type),
            "ti": SimpleNamespace(
                xcom_push=lambda key, value: None,
                xcom_pull=lambda task_ids, key="return_value": left.get((task_ids, key)),
            ),
            "inlet_events": {chain.BRONZE: list(events), chain.CANDIDATE: list(events)},
            "outlet_events": outlets,
        }
        for module in (chain, sys.modules[function.__module__]):
            monkeypatch.setattr(module, "get_current_context", lambda: context, raising=False)
        return SimpleNamespace(result=function(*arguments(dag_id, task_id, option)), outlets=outlets)

    return run


def arguments(dag_id, task_id, option):
    """What the task would be handed from the tasks before it."""
    answer = {
        "chosen_options": [option],
        "responded_by_user": {"id": "risk_officer", "name": "risk_officer"},
        "params_input": {"comment": "until next review"},
    }
    handed = {
        ("promote_model", "decide"): [answer],
        ("build_bronze", "gate"): [{"batches": 1, "through": 7}],
        ("build_bronze", "tell_held_back"): [
            {"held_back": "courts__case: 3 of 4 rows are bad", "through": 3},
            {"tables": 1, "held_back": "gas__bill: location"},
        ],
    }
    return handed.get((dag_id, task_id), [])
