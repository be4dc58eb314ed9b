"""
### What it does
Builds silver from published bronze: conformed invoices, enterprises, loans and credit
records, corrections kept as new versions, red letters linked or marked. Links every department's keys
and names to enterprises. Checks the build and publishes all silver tables in one commit.

### Inputs and outputs
- in: tables `bronze.*`; starts on asset `bronze`
- out: tables `silver.*`; asset `silver` with the same partition key

### Schedule and date
Starts when bronze of a drop was published; the partition key comes with the asset. By hand: trigger with
the drop's received date as partition key.

### How to rerun
Clear the failed task, or trigger with the same partition key. A repeated batch is recognised and skipped.

### When it fails
- `build`, `identify`: usually the engine is down (`vinelake status`); the retries wait for it.
- `gate`: a rule was broken and none of silver was published; readers still see the last good state. The
  message gives the report's path. Mend, then clear `build`. Where the rule is `restatement_within_limit`, a source
  changed much of the past: look at `vinelake restatement show`, waive the rule for the batch if the past is right as
  it is told now, then clear `gate`.

### Owner
data-engineering
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, task

with DAG(
    dag_id="build_silver",
    description="Bronze → silver: conformed, versioned, both times; checked and published",
    schedule=PartitionedAssetTimetable(assets=chain.BRONZE),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "silver"],
    doc_md=__doc__,
) as dag:

    @task
    def build() -> dict[str, Any]:
        """Published bronze → silver build."""
        from spark_jobs import silver

        return chain.run_job(silver.build)

    @task
    def identify() -> dict[str, Any]:
        """Silver build → ledger of identity: which enterprise each department's keys and names are."""
        from spark_jobs.identity import job

        return chain.run_job(job.build)

    @task(pool=chain.PUBLISH_POOL, outlets=[chain.SILVER])
    def gate() -> dict[str, Any]:
        """Checks the silver build; publishes it when good."""
        from expectations import gate as gates

        return chain.run_job(partial(gates.gate, "silver"))

    build() >> identify() >> gate()
