"""What every DAG of this folder shares: its assets, pools, retry rules, and the way it reads its date.

A run takes its date from its partition key and from nothing else. Asset-triggered runs have no logical
date, and their `run_after` is the wall clock, so neither says which drop a run is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse.errors import (
    ConfigError,
    ContractError,
    GateFailed,
    IntegrityError,
    LandingError,
    ModelError,
    VinelakeError,
)
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition

if TYPE_CHECKING:
    from airflow.sdk.execution_time.comms import AssetEventResult

OWNER = "data-engineering"
RISK_OWNER = "risk-modelling"

# Slots: two statements at a time keep two cores busy; one publisher at a time keeps the manifest simple.
ENGINE_POOL = "engine"
PUBLISH_POOL = "publish"

BRONZE = Asset("bronze", uri="vinelake://bronze")
SILVER = Asset("silver", uri="vinelake://silver")
FEATURES = Asset("enterprise_features", uri="vinelake://gold/enterprise_features")
CANDIDATE = Asset("model_candidate", uri="vinelake://models/candidate")
CHAMPION = Asset("model_champion", uri="vinelake://models/champion")
SCORES = Asset("enterprise_score", uri="vinelake://gold/enterprise_score")

# A second attempt helps when the engine or a service was away. It cannot mend data, contracts or models.
NOT_MENDED_BY_RETRY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[ConfigError, ContractError, GateFailed, IntegrityError, LandingError, ModelError],
            action=RetryAction.FAIL,
            reason="the same input fails the same way; see the runbook in the DAG's documentation",
        )
    ]
)


def default_args(owner: str = OWNER) -> dict[str, Any]:
    """Arguments of every task: owner, two retries for outages, none for faults of data, a time limit."""
    return {
        "owner": owner,
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "retry_policy": NOT_MENDED_BY_RETRY,
        "execution_timeout": timedelta(minutes=60),
        "pool": ENGINE_POOL,
    }


def drop_date(context: dict[str, Any]) -> str:
    """The received date of the drop that a run is about, `YYYY-MM-DD`.

    Raises ConfigError when the run has no partition key or one that is no date.
    """
    run = context["dag_run"]
    try:
        return parse_partition(run.partition_key).isoformat()
    except ConfigError as error:
        raise ConfigError(
            error.what,
            where=f"{run.dag_id}, run {run.run_id}",
            remedy="trigger the DAG with the drop's received date as its partition key, for example "
            "2024-01-01 (field `Partition key` of the trigger form, `partition_key` over REST)",
        ) from error


def run_job(job: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Calls one job function with the run's drop date; see `run_undated` for what it does beside."""
    date = drop_date(get_current_context())
    return run_undated(lambda: job(date))


def run_undated(job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Calls a job function that is about no drop.

    A fault is left as XCom `failure`, so that the reason can be read without opening the log. A job that
    returns `skipped` (a sentence) had nothing to do: its task ends as skipped, and what waits for it with
    it.
    """
    try:
        result = job()
    except VinelakeError as error:
        get_current_context()["ti"].xcom_push(key="failure", value=str(error))
        raise
    if result and result.get("skipped"):
        raise AirflowSkipException(str(result["skipped"]))
    return result


def skip_if_nothing_new(landed: dict[str, Any], announced: Iterable[AssetEventResult]) -> dict[str, Any]:
    """Ends the run as skipped when every batch of the drop was announced as published before.

    `announced` are the events of asset `bronze`. A batch that an earlier attempt landed without getting as
    far as publishing it was not announced, so it still counts as new. What was announced of tables that were
    cleared since does not count.
    """
    here = [event.extra for event in announced if (event.extra or {}).get("warehouse") == warehouse()]
    published = {batch for extra in here for batch in extra["batches"]}
    if received_batches(landed) <= published:
        raise AirflowSkipException("0 new batches: every file of this drop was published before")
    return landed


def warehouse() -> str:
    """Which tables an announcement is about: clearing all data starts a new folder."""
    return get_settings().warehouse_dir.name


def received_batches(landed: dict[str, Any]) -> set[str]:
    """The ids of all batches of a drop, whether landed now or by an earlier run."""
    return {*landed["new_batches"], *landed.get("repeated_batches", [])}


def skip_if_not_delivered(context: dict[str, Any]) -> None:
    """Ends a run as skipped when its schedule came round and the sender had delivered nothing.

    A run started by hand goes on, so that a mistyped date is told rather than passed over.
    """
    drop = get_settings().inbox_dir / drop_date(context)
    if context["dag_run"].run_type != "manual" and not drop.is_dir():
        raise AirflowSkipException(f"0 new batches: no drop was delivered ({drop} does not exist)")


def approver() -> str:
    """The user who may approve a model; never the author of it."""
    return get_settings().approver


def business_timezone() -> str:
    """The time zone that schedules are written in."""
    return get_settings().timezone
