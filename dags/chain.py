"""What every DAG of this folder shares: its assets, pools, retry rules, and the way it reads its date.

A run takes its date from its partition key and from nothing else. Asset-triggered runs have no logical
date, and their `run_after` is the wall clock, so neither says which drop a run is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    Asset,
    AssetAll,
    AssetAny,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    get_current_context,
)
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse import connections, families
from lakehouse.errors import (
    ConfigError,
    ContractError,
    GateFailed,
    IntegrityError,
    LandingError,
    ModelError,
    SourceUnavailable,
    StaleSource,
    VinelakeError,
)
from lakehouse.settings import get_settings
from lakehouse.time import parse_partition

if TYPE_CHECKING:
    from airflow.sdk.execution_time.comms import AssetEventResult

OWNER = "data-engineering"
RISK_OWNER = "risk-modelling"

# Slots: two statements at a time keep two cores busy; one publisher at a time keeps the manifest simple; pulls
# mostly wait for their sources.
ENGINE_POOL = "engine"
PUBLISH_POOL = "publish"
PULL_POOL = "pulls"

# The connection whose applicants sign consents to enquiries.
LENDING = "core_bank"

DROP = Asset("landing/file_drop", uri="vinelake://landing/file_drop")
BRONZE = Asset("bronze", uri="vinelake://bronze")
SILVER = Asset("silver", uri="vinelake://silver")
FEATURES = Asset("enterprise_features", uri="vinelake://gold/enterprise_features")
CANDIDATE = Asset("model_candidate", uri="vinelake://models/candidate")
CHAMPION = Asset("model_champion", uri="vinelake://models/champion")
SCORES = Asset("enterprise_score", uri="vinelake://gold/enterprise_score")

# What of one feed keeps it from bronze, while the others are built.
HELD_BACK = (ContractError, GateFailed, IntegrityError)
# A second attempt helps when the engine or a service was away. It cannot mend data, contracts or models.
NOT_MENDED_BY_RETRY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                ConfigError,
                ContractError,
                GateFailed,
                IntegrityError,
                LandingError,
                ModelError,
                StaleSource,
            ],
            action=RetryAction.FAIL,
            reason="the same input fails the same way; see the runbook in the DAG's documentation",
        )
    ]
)
# A source that was away may be back; one that answers nonsense, refuses or changed its fields goes on doing so.
MENDED_BY_WAITING = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=SourceUnavailable, action=RetryAction.RETRY, reason="the source may be back by then"),
        RetryRule(
            exception=VinelakeError,
            action=RetryAction.FAIL,
            reason="waiting mends nothing; see the runbook in the DAG's documentation",
        ),
    ]
)
# Models are trained anew about once a month, however often features are built.
TRAIN_EVERY = timedelta(days=28)
# Longer than a department's breaker stays open, so that every attempt asks.
PULL_RETRY_DELAY = timedelta(minutes=6)


def tell_failure(context: dict[str, Any]) -> None:
    """Tells whoever is to know that a task failed for good."""
    from lakehouse import alerts

    task = context["ti"]
    alerts.send(
        f"{task.dag_id} ▸ {task.task_id} failed",
        str(context.get("exception") or "no reason was given"),
        dag=task.dag_id,
        task=task.task_id,
        run=task.run_id,
        partition=getattr(context.get("dag_run"), "partition_key", None),
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
        "on_failure_callback": tell_failure,
    }


def pull_args() -> dict[str, Any]:
    """Arguments of tasks that pull: tried again only for a source that is away."""
    return default_args() | {
        "pool": PULL_POOL,
        "retry_delay": PULL_RETRY_DELAY,
        "retry_policy": MENDED_BY_WAITING,
    }


@cache
def source_families() -> list[families.Family]:
    """What is pulled, from the contracts alone: the same files give the same DAGs."""
    return families.families(families.outlines(get_settings().contracts_dir))


def family_asset(connection: str) -> Asset:
    """Stands for a connection's pulls of a day having ended, whatever came of them."""
    return Asset(f"landing/{connection}", uri=f"vinelake://landing/{connection}")


def department_asset(connection: str, department: str) -> Asset:
    """Stands for a department having been pulled whole up to a day."""
    return Asset(f"landing/{connection}/{department}", uri=f"vinelake://landing/{connection}/{department}")


def landed() -> AssetAny:
    """What bronze waits for: the day's pulls of every connection to have ended, or a drop of files."""
    pulled = [family_asset(family.connection) for family in source_families()]
    return AssetAny(AssetAll(*pulled), DROP) if pulled else AssetAny(DROP)


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

    A fault is left as XCom `failure`, so that the reason can be read without opening the log, and its class as
    `failure_kind`. A job that returns `skipped` (a sentence) had nothing to do: its task ends as skipped, and what
    waits for it with it.
    """
    try:
        result = job()
    except VinelakeError as error:
        for key, value in (("failure", str(error)), ("failure_kind", type(error).__name__)):
            get_current_context()["ti"].xcom_push(key=key, value=value)
        raise
    if result and result.get("skipped"):
        raise AirflowSkipException(str(result["skipped"]))
    return result


def run_pull(connection: str, task: str, asset: Asset) -> dict[str, Any]:
    """Pulls one department up to the run's date and tells its asset which batches came.

    Ends as skipped where this lakehouse has no such connection.
    """
    from spark_jobs.pull import runner

    context = get_current_context()
    date, here = drop_date(context), configured()
    if connection not in here:
        raise AirflowSkipException(f"no connection {connection!r} in {get_settings().connections_file}")
    result = run_undated(lambda: runner.pull_department(date, task))
    extra = {"batches": result["new_batches"], "records": sum(result["records"].values())}
    context["outlet_events"][asset].extra = extra
    return result


def pulls_ended(connection: str, tasks: dict[str, str], asset: Asset) -> dict[str, Any]:
    """Tells a connection's asset what its pulls came to; `tasks` maps each department to its task.

    A department that ended without a result failed; what it said of it comes with it. A connection that this
    lakehouse has not got is told as well, so that the others need not wait for it.
    """
    context = get_current_context()
    drop_date(context)
    pull, records, failed = context["ti"].xcom_pull, 0, {}
    for department, task in tasks.items() if connection in configured() else ():
        result = pull(task_ids=task)
        if result is None:
            failed[department] = pull(task_ids=task, key="failure") or "ended without a word; see its log"
        else:
            records += sum(result["records"].values())
    facts = {"departments": len(tasks), "records": records, "failed": failed}
    context["outlet_events"][asset].extra = facts
    return facts


def configured() -> dict[str, connections.Connection]:
    """The source systems that this lakehouse is connected to."""
    return connections.load(get_settings().connections_file)


def purposes_of_enquiries() -> list[str]:
    """What this lakehouse asks bureaus for; empty where it is connected to no bureau, or to no bank that lends."""
    here = configured()
    if LENDING not in here:
        return []
    asked = [o.feed for family in source_families() for o in family.feeds if o.feed.protocol == "enquiry"]
    return sorted({str(feed.options["purpose"]) for feed in asked if feed.connection in here})


def last_day_of_clock() -> datetime | None:
    """Until when a DAG that pulls is started by the clock: None for ever, long past where there is nothing to ask.

    A simulated world's calendar is not ours: its days are pulled by hand or by a backfill. What a DAG consists of
    follows from the contracts alone; whether the clock starts it follows from the connections file.
    """
    real = any(not connection.settings.get("simulated") for connection in configured().values())
    return None if real else datetime(2000, 1, 1, tzinfo=UTC)


def last_landed() -> int:
    """The number of the newest batch in landing; 0 before the first."""
    from spark_jobs import landing

    return max((batch.sequence for batch in landing.landed()), default=0)


def newest_of(landed: dict[str, Any]) -> int:
    """The number of the newest batch of a drop, whether landed now or by an earlier run; 0 for none."""
    from spark_jobs import landing

    held = {*landed["new_batches"], *landed.get("repeated_batches", [])}
    return max((batch.sequence for batch in landing.landed() if batch.batch_id in held), default=0)


def published_through(announced: Iterable[AssetEventResult]) -> int:
    """The number of the newest batch up to which all were published, from the events of asset `bronze`.

    What was announced of tables that were cleared since does not count.
    """
    here = [event.extra for event in announced if (event.extra or {}).get("warehouse") == warehouse()]
    return max((extra["through"] for extra in here), default=0)


def skip_if_published(newest: int, announced: Iterable[AssetEventResult], what: str) -> None:
    """Ends the run as skipped when every batch up to number `newest` was announced as published.

    A batch that an earlier attempt landed without getting as far as publishing it was not announced, so it still
    counts as new.
    """
    if newest <= published_through(announced):
        raise AirflowSkipException(f"0 new batches: {what}")


def skip_unless_training_is_due(context: dict[str, Any]) -> None:
    """Ends a run as skipped when a candidate was trained on features of less than `TRAIN_EVERY` before.

    Features of the very same date are trained on again, since they were built anew; a run started by hand always is.
    """
    day = parse_partition(drop_date(context))
    earlier = [
        parse_partition(event.partition_key)
        for event in context["inlet_events"][CANDIDATE]
        if event.partition_key and (event.extra or {}).get("warehouse") == warehouse()
    ]
    last = max((known for known in earlier if known <= day), default=None)
    if context["dag_run"].run_type != "manual" and last and last < day < last + TRAIN_EVERY:
        raise AirflowSkipException(f"trained on features of {last}; the next training is due {last + TRAIN_EVERY}")


def warehouse() -> str:
    """Which tables an announcement is about: clearing all data starts a new folder."""
    return get_settings().warehouse_dir.name


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
