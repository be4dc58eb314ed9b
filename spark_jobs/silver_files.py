"""Silver from files of a drop: the sources whose order of versions is the order in which they came in.

Each function reads the accepted rows of its contracts and returns one row per version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_jobs import invoices
from spark_jobs.invoices import TRACE
from spark_jobs.silver_plan import Reader

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REGISTRY_FACTS = ["uscc", "registered_on", "industry_code", "region", "registered_capital_cny", "staff"]
SALES, PURCHASES = "gov_tax__sale_invoice", "gov_tax__purchase_invoice"


def vat_invoice(reader: Reader) -> DataFrame:
    """One row per version of an invoice, sales and purchases together; see `spark_jobs.invoices`."""
    both = invoices.conform(reader.accepted(SALES), "sale").unionByName(
        invoices.conform(reader.accepted(PURCHASES), "purchase")
    )
    return _with_source(both)


def invoices_of(accepted: DataFrame, direction: str) -> DataFrame:
    """The same of some accepted rows of one direction: all that were ever said of each of their invoices, and where a
    red letter is among them, of every invoice between its parties."""
    return _with_source(invoices.conform(accepted, direction))


def _with_source(conformed: DataFrame) -> DataFrame:
    source = f"if(direction = 'sale', '{SALES}', '{PURCHASES}') AS source"
    return invoices.number_versions(invoices.link_red_letters(conformed)).selectExpr("*", source)


def loan(reader: Reader) -> DataFrame:
    """One row per version of a loan, with the dated events that decide its outcome."""
    return _versions(reader, "bank__loan", ["loan_id"])


def credit_record(reader: Reader) -> DataFrame:
    """One row per version of an enterprise's undated outcome: `is_bad` and the rating that restates it."""
    return _versions(reader, "bank__credit_record", ["enterprise_id"], without=("name",))


def enterprise(reader: Reader) -> DataFrame:
    """One row per version of an enterprise: what all sources together said of it, as knowledge came in.

    The registry's name goes before the bank's masked one.
    """
    registry = reader.accepted("gov_registry__enterprise").selectExpr(
        "enterprise_id", "name AS registered_name", "cast(null AS string) AS given_name", *REGISTRY_FACTS, *TRACE
    )
    facts = registry
    for contract in ("bank__credit_record", "bank__applicant"):
        nothing = [f"cast(null AS {registry.schema[c].dataType.simpleString()}) AS {c}" for c in REGISTRY_FACTS]
        facts = facts.unionByName(
            reader.accepted(contract).selectExpr(
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


def _versions(reader: Reader, contract: str, keys: list[str], without: tuple[str, ...] = ()) -> DataFrame:
    order = f"PARTITION BY {', '.join(keys)} ORDER BY batch_sequence, source_file, row_number"
    facts = [c.name for c in reader.known[contract].columns if c.name not in {*keys, *without}]
    version = f"cast(row_number() OVER ({order}) AS int) AS version_no"
    return reader.accepted(contract).selectExpr(*keys, version, *facts, *TRACE)
