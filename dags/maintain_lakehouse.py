"""
### What it does
Keeps the tables quick to read and the disk from filling: merges small files, then removes versions and
files that are older than the retention period and that no publication needs. Counts whose personal data no
contract keeps any longer; `vinelake erase expired` erases them.

### Inputs and outputs
- in: all Delta tables of the lakehouse
- out: the same tables with the same rows; fewer and larger files

### Schedule and date
Sundays at 03:00 business time. It is about no drop, so it has no partition key.

### How to rerun
Clear the failed task, or trigger it. Both steps may be repeated at any time. Not while a backfill is
running: both want the engine.

### When it fails
- `compact`: the engine is down (`vinelake status`), or a build of the same table was running; the retries
  wait for it.
- `apply_retention`: a file to be removed is still pinned by a publication; the message names the table.
  Nothing of it was removed.
- `count_expired`: a contract cannot be read; the message names it. Nothing is changed by this task.

### Owner
data-engineering
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import chain
from airflow.sdk import DAG, CronTriggerTimetable, task

with DAG(
    dag_id="maintain_lakehouse",
    description="Weekly: merge small files, remove what is past its retention",
    schedule=CronTriggerTimetable("0 3 * * 0", timezone=chain.business_timezone()),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "maintenance"],
    doc_md=__doc__,
) as dag:

    @task(pool=chain.PUBLISH_POOL, execution_timeout=timedelta(hours=3))
    def compact() -> dict[str, Any]:
        """Merges small files; no row changes."""
        from lakehouse import maintenance

        return chain.run_undated(maintenance.compact)

    @task(pool=chain.PUBLISH_POOL, execution_timeout=timedelta(hours=3))
    def apply_retention() -> dict[str, Any]:
        """Removes versions past their retention that no publication pins."""
        from lakehouse import maintenance

        return chain.run_undated(maintenance.apply_retention)

    @task(execution_timeout=timedelta(hours=1))
    def count_expired() -> dict[str, Any]:
        """Counts the subjects whose personal data no contract keeps any longer, by kind of identifier."""
        from spark_jobs import expiry

        return chain.run_undated(expiry.count)

    compact() >> apply_retention() >> count_expired()
