"""
### What it does
Pulls one connection's departments, each in a task of its own: whatever was published before the run's date, from
where the last pull ended, lands byte for byte in one batch a feed, and the cursor with it. A department that fails
leaves the others alone; the next pull brings what it missed. In the end the day's pulls are announced, whatever
came of them. One DAG a connection, made from the contracts' feeds: a new department needs a contract and no code.

### Inputs and outputs
- in: the source system, at the address that the connections file states
- out: batches in landing; the ledger of pulls; an asset a department (`landing/<connection>/<department>`) and one
  for the connection (`landing/<connection>`), all with the same partition key

### Schedule and date
Daily at 06:00 business time, partition key = that day: all that was published before it began is asked for. A range
of days is backfilled by `vinelake backfill`, from the oldest to the newest. By hand: trigger with a date as partition
key, then `build_bronze` with the same one. A connection that this lakehouse has not got is skipped. A simulated
world is never pulled by the clock.

### How to rerun
Clear the failed task, or trigger again: a pull goes on after the last part that was kept, and one that was complete
finds nothing new.

### When it fails
- `pull_<department>`, after three attempts: the source was away. Nothing is lost; the next day's pull catches up.
  `vinelake freshness` tells for how long the feed may go without.
- `pull_<department>`, at once: the source refused, changed its fields, or answered what it must not. The message
  names the record or field and the remedy: mostly a `variants` entry in the contract. Parts that came before are
  kept.
- `announce`: Airflow itself is not well (`vinelake status`). Clear it: bronze waits for it.

### Owner
data-engineering
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import chain
from airflow.sdk import DAG, Asset, CronPartitionTimetable, task


def documentation(family: Any) -> str:
    """The runbook, with the connection's feeds and their policies before its last section."""
    lines = [
        f"| {o.feed.department} | {o.contract} | {o.feed.protocol} | {o.feed.schema_change} | "
        f"{o.feed.stale_after_days} | {o.feed.when_stale} |"
        for o in family.feeds
    ]
    table = (
        f"### Feeds of {family.connection}\n"
        "| department | contract | protocol | when fields change | may be stale for (days) | scores then |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n\n"
    )
    text, _, owner = __doc__.partition("### Owner")
    return f"{text}{table}### Owner{owner}"


def ingest(family: Any) -> DAG:
    """The DAG of one connection."""
    ended = chain.family_asset(family.connection)
    with DAG(
        dag_id=f"ingest_{family.connection}",
        description=f"{family.connection}: every department's news → landing",
        schedule=CronPartitionTimetable("0 6 * * *", timezone=chain.business_timezone(), key_format="%Y-%m-%d"),
        end_date=chain.last_day_of_clock(),
        catchup=False,
        max_active_runs=1,
        default_args=chain.pull_args(),
        tags=["vinelake", "ingest", family.connection],
        doc_md=documentation(family),
    ) as dag:
        tasks = {held[0].feed.department: name for name, held in family.departments.items()}
        pulls = [pull(family.connection, department, name) for department, name in tasks.items()]
        ids = {department: f"pull_{department}" for department in tasks}

        @task(outlets=[ended], execution_timeout=timedelta(minutes=5))
        def announce() -> dict[str, Any]:
            """Tells that the day's pulls have ended, and which of them failed."""
            return chain.pulls_ended(family.connection, ids, ended)

        # A teardown runs whatever became of the pulls, and leaves the run's verdict to them.
        pulls >> announce().as_teardown(on_failure_fail_dagrun=True)
    return dag


def pull(connection: str, department: str, name: str) -> Any:
    """The task of one department; `name` is what the runner calls it."""
    asset: Asset = chain.department_asset(connection, department)

    @task(task_id=f"pull_{department}", outlets=[asset], execution_timeout=timedelta(hours=2))
    def pull_department() -> dict[str, Any]:
        """Pulls every feed of the department."""
        return chain.run_pull(connection, name, asset)

    return pull_department()


for found in chain.source_families():
    globals()[f"ingest_{found.connection}"] = ingest(found)
