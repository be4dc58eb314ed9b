"""Silver: bronze conformed to one vocabulary, with versions instead of corrections and both times on each row.

Tables: `silver.vat_invoice`, `silver.enterprise`, `silver.loan`, `silver.credit_record`. A row is a version;
the state as known at D is the highest `version_no` with `known_at <= D`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, engine, ledger, tables
from lakehouse.contracts import Contract
from lakehouse.settings import get_settings
from spark_jobs import invoices
from spark_jobs.invoices import TRACE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REGISTRY_FACTS = ["uscc", "registered_on", "industry_code", "region", "registered_capital_cny", "staff"]


def build(partition: str) -> dict[str, Any]:
    """Builds every silver table aside from what bronze has published; returns rows per table."""
    known = contracts.load_all(get_settings().contracts_dir)
    with engine.session("silver") as spark, ledger.run(spark, "silver", partition) as run:
        accepted = {name: accepted_rows(spark, contract) for name, contract in known.items()}
        for table, conform in CONFORMED.items():
            tables.begin_build(spark, table)
            tables.overwrite(conform(accepted), table)
            run.details[table] = spark.table(tables.build_name(table)).count()
        return dict(run.details)


def accepted_rows(spark: SparkSession, contract: Contract) -> DataFrame:
    """The accepted rows of a contract as published; empty, with the right columns, before its first drop."""
    if tables.is_published(spark, contract.bronze_table):
        return tables.read(spark, contract.bronze_table).where("disposition = 'accepted'")
    columns = [f"{c.name} {c.spark_type}" for c in contract.columns]
    trace = (
        "record_key string, known_at timestamp, known_at_is_assumed boolean, received_on date, batch_id string, "
        "batch_sequence bigint, source_file string, row_number bigint"
    )
    return spark.createDataFrame([], ", ".join([*columns, trace]))


def vat_invoice(accepted: Mapping[str, DataFrame]) -> DataFrame:
    """One row per version of an invoice, sales and purchases together; see `spark_jobs.invoices`."""
    both = invoices.conform(accepted["gov_tax__sale_invoice"], "sale").unionByName(
        invoices.conform(accepted["gov_tax__purchase_invoice"], "purchase")
    )
    return invoices.number_versions(invoices.link_red_letters(both))


def loan(accepted: Mapping[str, DataFrame]) -> DataFrame:
    """One row per version of a loan, with the dated events that decide its outcome."""
    return _versions(accepted["bank__loan"], ["loan_id"])


def credit_record(accepted: Mapping[str, DataFrame]) -> DataFrame:
    """One row per version of an enterprise's undated outcome: `is_bad` and the rating that restates it."""
    return _versions(accepted["bank__credit_record"].drop("name"), ["enterprise_id"])


def enterprise(accepted: Mapping[str, DataFrame]) -> DataFrame:
    """One row per version of an enterprise: what all sources together said of it, as knowledge came in.

    The registry's name goes before the bank's masked one.
    """
    registry = accepted["gov_registry__enterprise"].selectExpr(
        "enterprise_id", "name AS registered_name", "cast(null AS string) AS given_name", *REGISTRY_FACTS, *TRACE
    )
    facts = registry
    for contract in ("bank__credit_record", "bank__applicant"):
        nothing = [f"cast(null AS {registry.schema[c].dataType.simpleString()}) AS {c}" for c in REGISTRY_FACTS]
        facts = facts.unionByName(
            accepted[contract].selectExpr(
                "enterprise_id", "cast(null AS string) AS registered_name", "name AS given_name", *nothing, *TRACE
            )
        )
    so_far = "PARTITION BY enterprise_id ORDER BY known_at, batch_sequence, source_file, row_number"
    names = [f"last({c}, true) OVER ({so_far}) AS {c}" for c in ("registered_name", "given_name", *REGISTRY_FACTS)]
    state = facts.selectExpr("enterprise_id", *names, *TRACE)
    content = ", ".join(["coalesce(registered_name, given_name)", *REGISTRY_FACTS])
    changed = state.selectExpr("*", f"xxhash64({content}) AS content").selectExpr(
        "*", f"lag(content) OVER ({so_far}) AS content_before"
    )
    return changed.where("content_before IS NULL OR content <> content_before").selectExpr(
        "enterprise_id",
        f"cast(row_number() OVER ({so_far}) AS int) AS version_no",
        "coalesce(registered_name, given_name) AS name",
        *REGISTRY_FACTS,
        *TRACE,
    )


def _versions(rows: DataFrame, keys: list[str]) -> DataFrame:
    order = f"PARTITION BY {', '.join(keys)} ORDER BY batch_sequence, source_file, row_number"
    facts = [c for c in rows.columns if c not in {*keys, *TRACE, "record_key", "record_hash", "disposition"}]
    return rows.selectExpr(*keys, f"cast(row_number() OVER ({order}) AS int) AS version_no", *facts, *TRACE)


CONFORMED: dict[str, Callable[[Mapping[str, DataFrame]], DataFrame]] = {
    "silver.vat_invoice": vat_invoice,
    "silver.enterprise": enterprise,
    "silver.loan": loan,
    "silver.credit_record": credit_record,
}
