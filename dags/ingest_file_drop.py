"""
### What it does
Takes in one drop: the folder of files received on one date. Copies them byte for byte into landing
(hash chain, manifest), parses them by contract into bronze, sends broken rows to quarantine with a
reason, checks bronze and publishes it. A drop that was taken in before is noticed: the run ends with its
tasks skipped and nothing downstream starts.

### Inputs and outputs
- in: `inbox/<partition key>/` below the lakehouse's `var` folder
- out: files in landing; tables `bronze.*` and `quarantine.*`; asset `bronze` with the same partition key

### Schedule and date
Daily at 06:00 business time, partition key = that day; a day without a drop is skipped. Any other day is
given at the trigger: the partition key is the received date, `YYYY-MM-DD`. A range of days can be
backfilled, from the oldest to the newest: knowledge cannot be put in before what is already in.

### How to rerun
Clear the failed task, or trigger again with the same partition key: batches already landed are
recognised by their hash, and those that were not published yet are taken up where the earlier run broke
off.

### When it fails
- `land`: a file cannot be taken in (truncated archive, wrong encoding, missing column). The message names
  file and remedy. Ask the sender for a new file, replace it in the inbox, clear the task.
- `build_bronze`: usually the engine is down (`vinelake status`); the retries wait for it.
- `gate_bronze`: the data broke a rule and none of it was published. The message gives the report's path.
  Mend the data or, if the rule is wrong, the contract; then clear `build_bronze`.

### Owner
data-engineering
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import chain
from airflow.sdk import DAG, CronPartitionTimetable, get_current_context, task

with DAG(
    dag_id="ingest_file_drop",
    description="Files of one drop → landing → bronze, checked and published",
    schedule=CronPartitionTimetable("0 6 * * *", timezone=chain.business_timezone(), key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "ingest", "bronze"],
    doc_md=__doc__,
) as dag:

    @task(execution_timeout=timedelta(minutes=30), inlets=[chain.BRONZE])
    def land() -> dict[str, Any]:
        """Inbox → landing. Skips the run when every file of the drop was published before."""
        from spark_jobs import landing

        context = get_current_context()
        chain.skip_if_not_delivered(context)
        return chain.skip_if_nothing_new(chain.run_job(landing.land), context["inlet_events"][chain.BRONZE])

    @task
    def build_bronze() -> dict[str, Any]:
        """Landing → bronze build and quarantine."""
        from spark_jobs import bronze

        return chain.run_job(bronze.build)

    @task(pool=chain.PUBLISH_POOL, outlets=[chain.BRONZE])
    def gate_bronze(landed: dict[str, Any]) -> dict[str, Any]:
        """Checks the bronze build; publishes it when good, and announces which batches it holds."""
        from expectations import gate

        result = chain.run_job(partial(gate.gate, "bronze"))
        events = get_current_context()["outlet_events"]
        batches = sorted(chain.received_batches(landed))
        events[chain.BRONZE].extra = {"batches": batches, "warehouse": chain.warehouse()}
        return result

    landed = land()
    build = build_bronze()
    landed >> build >> gate_bronze(landed)
