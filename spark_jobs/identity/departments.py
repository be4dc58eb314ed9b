"""Where departments name enterprises: rows of silver that become mentions, and the registry's change book.

Every contract with a `silver.subject` is read by it. Further columns that name firms (parties of invoices and court
cases, clients visited, subjects of reports) are listed in `FURTHER`. Fields that are sealed are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse import tables
from spark_jobs.identity.mentions import CHANGES, IDENTIFYING, REGISTRY, ROWS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.contracts import Contract

CHANGE_BOOK = f"{REGISTRY}__change"
# Departments that are run by a system of another name.
SYSTEMS = {REGISTRY: "registry", "tax_returns": "tax", "vat_invoices": "tax", "social_insurance": "social"}
# A client of the payments department holds several accounts, under one number of its own.
OWN_KEY = {"payments__account": "client_number"}
ONLY = {"payments__account": "holder_kind IN ('enterprise', 'counterparty')"}
# From when a wording holds: a directory's first one always did, a later one since it was published.
LISTED = "IF(version_no > 1, to_date(coalesce(published_at, known_at)), NULL)"
DATED = {"penalties__decision": "decided_on", "vat_invoices__invoice": "issued_on", "bureau__report": "produced_on",
         "field__visit": "visited_on", "courts__case": "filed_on"}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Rows of a contract's silver table that name a party: SQL by column of ROWS; what is not given is null."""

    contract: str
    columns: Mapping[str, str]
    where: str = "true"


FURTHER = (
    Source("vat_invoices__invoice", {"local_key": "seller_tax_number", "name": "seller_name"}),
    Source("vat_invoices__invoice", {"local_key": "buyer_tax_number", "name": "buyer_name"}),
    Source("bureau__report", {"local_key": "card_number", "name": "name", "code": "uscc"}),
    Source("field__visit", {"local_key": "client_number", "name": "client_name"}),
    Source("courts__case", {"local_key": "concat(case_number, ':defendant')", "name": "defendant_name",
                            "code": "defendant_code"}),
    # Other plaintiffs are natural persons, whose fields are sealed.
    Source("courts__case", {"local_key": "concat(case_number, ':plaintiff')", "name": "plaintiff_name",
                            "code": "plaintiff_code"}, "cause IN ('sale_contract', 'loan_contract')"),
)  # fmt: skip


def sources(known: Mapping[str, Contract]) -> Iterator[Source]:
    """All places at which the contracts name enterprises."""
    for contract in known.values():
        record = contract.silver
        if record is None or record.subject is None:
            continue
        plain = {c.name for c in contract.columns} - set(contract.personal_columns)
        codes = [code for code in record.subject.codes if code in plain]
        columns = {"local_key": OWN_KEY.get(contract.id, record.subject.key)}
        if record.subject.name in plain:
            columns["name"] = record.subject.name
        if codes:
            columns["code"] = f"coalesce({', '.join(codes)})"
        columns |= {name: name for name in ("address", "phone") if name in plain}
        if contract.feed and contract.feed.department == REGISTRY:
            columns |= {"code": "uscc", "registration_number": "registration_number", "founded_on": "founded_on"}
        yield Source(contract.id, columns, ONLY.get(contract.id, "true"))
    yield from (source for source in FURTHER if source.contract in known)


def are_built(spark: SparkSession, known: Mapping[str, Contract]) -> bool:
    """Whether any source has been built."""
    return any(_built(spark, known[source.contract]) for source in sources(known))


def rows(spark: SparkSession, known: Mapping[str, Contract]) -> DataFrame:
    """ROWS of every source that has been built: each distinct wording once, as first known."""
    parts = [_part(spark, known[s.contract], s) for s in sources(known) if _built(spark, known[s.contract])]
    if not parts:
        return spark.createDataFrame([], ddl(ROWS))
    told = reduce(lambda one, other: one.unionByName(other), parts)
    said = told.where("local_key IS NOT NULL AND name IS NOT NULL").groupBy(*IDENTIFYING)
    return said.agg(
        *(_sql(text) for text in (
            "min(founded_on) AS founded_on",
            "IF(bool_or(valid_from IS NULL), NULL, min(valid_from)) AS valid_from", "min(known_at) AS known_at",
            "min_by(known_at_is_assumed, known_at) AS known_at_is_assumed",
        ))
    )  # fmt: skip


def changes(spark: SparkSession, known: Mapping[str, Contract]) -> DataFrame:
    """CHANGES: what the registry's change book says of mergers, splits, branches and renames."""
    contract = known.get(CHANGE_BOOK)
    if contract is None or not _built(spark, contract):
        return spark.createDataFrame([], ddl(CHANGES))
    assert contract.silver is not None
    return (
        spark.table(tables.build_name(contract.silver.table))
        .where("change_kind IN ('renamed', 'merged_into', 'split', 'branch_opened')")
        .selectExpr("record_id AS change_id", "enterprise_key AS local_key", "cast(NULL AS string) AS uscc",
                    "change_kind AS kind", "changed_on", "value_before", "value_after", "other_uscc", "known_at",
                    "known_at_is_assumed")
        .orderBy("change_id", "known_at")
    )  # fmt: skip


def _part(spark: SparkSession, contract: Contract, source: Source) -> DataFrame:
    assert contract.silver is not None
    table = spark.table(tables.build_name(contract.silver.table))
    if "published_at" not in table.columns:
        table = table.selectExpr("*", "cast(NULL AS timestamp) AS published_at")
    department = contract.feed.department if contract.feed else contract.id
    given = {"system": f"'{SYSTEMS.get(department, department)}'", "department": f"'{department}'",
             "valid_from": DATED.get(contract.id, LISTED), "known_at": "known_at",
             "known_at_is_assumed": "known_at_is_assumed", **source.columns}  # fmt: skip
    kinds = dict(part.split() for part in ddl(ROWS).split(", "))
    cells = [f"cast({given.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in kinds.items()]
    return table.where(source.where).selectExpr(*cells)


def _built(spark: SparkSession, contract: Contract) -> bool:
    return contract.silver is not None and spark.catalog.tableExists(tables.build_name(contract.silver.table))


def ddl(schema: pa.Schema) -> str:
    """Columns of an Arrow schema in Spark's words."""
    kinds = {"string": "string", "date32[day]": "date", "timestamp[us]": "timestamp", "bool": "boolean",
             "int32": "int", "double": "double"}  # fmt: skip
    return ", ".join(f"{field.name} {kinds[str(field.type)]}" for field in schema)


def _sql(expression: str):
    from pyspark.sql import functions

    return functions.expr(expression)
