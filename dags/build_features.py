"""
### What it does
Runs dbt: published silver → `gold.enterprise_features`, one row per enterprise as of the drop's date, with
only what was known by then. Runs dbt's own tests, then makes the features of all other sources for the same rows
(`gold.enterprise_source_features`), adds the contradictions that can be told by then (`gold.contradiction`), matches
orders, shipments, invoices and payments (`gold.trade_match`), checks the build and publishes it. Beside it, notes how
old every feed was on that date (`gold.source_freshness`), which scores are to respect.

### Inputs and outputs
- in: tables `silver.*`; starts on asset `silver`
- out: `gold.enterprise_features` and its bases (`gold.invoice_change` and its sums),
  `gold.enterprise_source_features`, `gold.contradiction`,
  `gold.trade_match`, `gold.trade_unmatched`, `gold.source_freshness`; asset `enterprise_features` with the same
  partition key

### Schedule and date
Starts when silver of a drop was published; the partition key is the features' `as_of`. By hand: trigger
with that date as partition key.

### How to rerun
Clear the failed task, or trigger with the same partition key. Dates that readers have are kept as long as nothing else
is known by them and no definition has changed; the rows of all others are replaced.

### When it fails
- `build`: dbt names the model or test in the message; its full log is in `var/current/logs`.
- `contradictions`, `trade_matches`: what has no sources is left out and told in `control.run`; an error names the
  statement in `dbt_project/contradictions`.
- `freshness`: usually the engine is down (`vinelake status`); the retries wait for it.
- `gate`: a rule was broken and nothing was published. The message gives the report's path. Mend, then
  clear `build`.

### Owner
data-engineering
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chain
from airflow.sdk import DAG, PartitionedAssetTimetable, task

with DAG(
    dag_id="build_features",
    description="Silver → enterprise features as of the drop's date (dbt); checked and published",
    schedule=PartitionedAssetTimetable(assets=chain.SILVER),
    catchup=False,
    max_active_runs=1,
    default_args=chain.default_args(),
    tags=["vinelake", "gold", "dbt"],
    doc_md=__doc__,
) as dag:

    @task
    def build() -> dict[str, Any]:
        """dbt build and test into the gold build schema."""
        from spark_jobs import features

        return chain.run_job(features.build)

    @task
    def freshness() -> dict[str, Any]:
        """Age of every feed on that date into the gold build schema."""
        from spark_jobs import freshness as ages

        return chain.run_job(ages.build)

    @task
    def contradictions() -> dict[str, Any]:
        """Who contradicts himself, as can be told on that date, into the gold build schema."""
        from spark_jobs.contradictions import job

        return chain.run_job(job.build)

    @task
    def trade_matches() -> dict[str, Any]:
        """Orders, shipments, invoices and payments that belong together, into the gold build schema."""
        from spark_jobs.contradictions import trade

        return chain.run_job(trade.build)

    @task(pool=chain.PUBLISH_POOL, outlets=[chain.FEATURES])
    def gate() -> dict[str, Any]:
        """Checks the gold build; publishes it when good."""
        from expectations import gate as gates

        return chain.run_job(partial(gates.gate, "gold"))

    published = gate()
    build() >> contradictions() >> trade_matches() >> published
    freshness() >> published
