"""
### What it does
Looks, when the day's pulls have ended, how old every feed is against what its contract allows, and writes the page
`reports/freshness.html`. A feed that is too old fails this DAG: that is the alert. The chain goes on meanwhile; what a
stale feed does to scores stands in its contract and is applied where they are made.

### Inputs and outputs
- in: the ledger of pulls; starts when the pulls of every connection have ended
- out: the page; for every failed task, this one included, a line in `alerts.jsonl` below the lakehouse's folder and
  a message to `VINELAKE_ALERT_WEBHOOK`, where that is set

### Schedule and date
The partition key comes with the assets: age is counted up to that day, so a run of last year's day tells what was
true then. By hand: trigger with a date as partition key, or `vinelake freshness --as-of`.

### How to rerun
Clear the task.

### When it fails
- `check`: a feed is older than its contract allows. The message names feed, owner, age and effect on scores. Look at
  the task that pulls it: when it succeeds again, so does this one. If the source cannot do better, agree on another
  `outage.staleAfterDays` with those who use it.

### Owner
data-engineering
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, task

with DAG(
    dag_id="report_freshness",
    description="Age of every feed against its contract; fails when one is too old",
    schedule=PartitionedAssetTimetable(assets=chain.landed()),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args() | {"pool": chain.PULL_POOL},
    tags=["vinelake", "freshness"],
    doc_md=__doc__,
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def check() -> dict[str, Any]:
        """Writes the page; fails when a feed is older than its contract allows."""
        from spark_jobs import freshness

        return chain.run_job(freshness.check)

    check()
