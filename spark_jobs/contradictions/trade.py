"""Builds `gold.trade_match` and `gold.trade_unmatched` aside: the four flows of trade, and why some do not meet.

`gold.trade_match`: invoice × record matched to it (its order, its shipment, its payments) in published silver;
`occurred_on`, `amount` (units of an order or shipment, yuan of a payment), the record's number and by what it was
matched. `gold.trade_unmatched`: invoice × record that is missing or short, with the reason.
"""

from __future__ import annotations

from typing import Any

from lakehouse import delta_log, engine, ledger, tables
from lakehouse.time import parse_partition
from spark_jobs.contradictions import job, statement

TABLES = {"gold.trade_match": statement.MATCH, "gold.trade_unmatched": statement.UNMATCHED}


def build(partition: str) -> dict[str, Any]:
    """Makes both tables anew from published silver; returns their rows, or why they cannot be made."""
    parse_partition(partition)
    with engine.session("trade_match") as spark, ledger.run(spark, "trade_match", partition) as run:
        plan = statement.match_plan(tables.published_in("silver"))
        run.details["left_out"] = dict(plan.left_out)
        if plan.left_out:
            return dict(run.details)
        with job.prepared(spark, plan, "trade"):
            for table, view in TABLES.items():
                tables.overwrite(spark.table(view), table)
        for table in TABLES:
            run.details[table] = delta_log.count(tables.build_location(table))
        return dict(run.details)
