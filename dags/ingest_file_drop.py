"""
### What it does
Takes in one drop: the folder of files received on one date. Copies them byte for byte into landing (hash chain,
manifest). A drop that was taken in before is noticed: the run ends as skipped and nothing downstream starts.

### Inputs and outputs
- in: `inbox/<partition key>/` below the lakehouse's `var` folder
- out: files in landing; asset `landing/file_drop` with the same partition key, from which `build_bronze` starts

### Schedule and date
Daily at 05:00 business time, before the day's pulls; partition key = that day; a day without a drop is skipped. Any
other day is given at the trigger: the partition key is the received date, `YYYY-MM-DD`. A range of days can be
backfilled, from the oldest to the newest: knowledge cannot be put in before what is already in.

### How to rerun
Clear the failed task, or trigger again with the same partition key: batches already landed are recognised by their
hash, and those that were not published yet are taken up where the earlier run broke off.

### When it fails
- `land`: a file cannot be taken in (truncated archive, wrong encoding, missing column). The message names file and
  remedy. Ask the sender for a new file, replace it in the inbox, clear the task.

### Owner
data-engineering
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import chain
from airflow.sdk import DAG, CronPartitionTimetable, get_current_context, task

with DAG(
    dag_id="ingest_file_drop",
    description="Files of one drop → landing",
    schedule=CronPartitionTimetable("0 5 * * *", timezone=chain.business_timezone(), key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "ingest"],
    doc_md=__doc__,
) as dag:

    @task(pool=chain.PULL_POOL, execution_timeout=timedelta(minutes=30), inlets=[chain.BRONZE], outlets=[chain.DROP])
    def land() -> dict[str, Any]:
        """Inbox → landing. Skips the run when every file of the drop was published before."""
        from spark_jobs import landing

        context = get_current_context()
        chain.skip_if_not_delivered(context)
        landed = chain.run_job(landing.land)
        newest = chain.newest_of(landed)
        chain.skip_if_published(newest, context["inlet_events"][chain.BRONZE], "every file was published before")
        return landed

    land()
