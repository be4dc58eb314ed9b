"""Silver from feeds: who a department's record speaks of, and what the conformed tables get from pulled sources.

An enterprise is the firm of one unified social credit code (USCC) that the business registry knows. A department's own
number leads to it only by a code that the department holds: the USCC itself, or the old registration number of one
registered firm. No name is compared; what no code resolves keeps `enterprise_id` null and is counted.

A row that needs another source to tell whose it is, is known when both were: its `known_at` is the later of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakehouse.contracts import Contract
from spark_jobs import invoices
from spark_jobs.invoices import TRACE
from spark_jobs.silver_files import REGISTRY_FACTS
from spark_jobs.silver_plan import Reader, Table
from spark_jobs.silver_versions import versions

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SUBJECTS = "silver.department_subject"
REGISTRY, INVOICES = "business_registry__enterprise", "vat_invoices__invoice"
LOAN, MONTH, GUARANTEE = "core_bank__loan", "core_bank__month_status", "core_bank__guarantee"
READINGS = "platform__equipment_reading"
TAX_DEPARTMENTS = "('tax_returns', 'vat_invoices')"


def subjects_table(known: Mapping[str, Contract]) -> Table:
    """`silver.department_subject`: made from every contract that names parties."""
    lists = [c.id for c in known.values() if c.silver and c.silver.subject]
    return Table(SUBJECTS, tuple(dict.fromkeys([*lists, REGISTRY])), department_subject)


def department_subject(reader: Reader) -> DataFrame:
    """One row per department, its number of a party, and version of what it says of that party.

    Columns: `department`, `department_key`, `version_no`, `name`, `code` (the first national code held),
    `enterprise_id` (null where no code resolves), `resolved_at` (when code and registry were both known),
    `published_at`, trace.
    """
    parts = None
    for contract in reader.known.values():
        if not contract.silver or not contract.silver.subject or not reader.has(contract.id):
            continue
        subject = contract.silver.subject
        rows = reader.silver(contract.silver.table)
        name = f"`{subject.name}`" if subject.name else "cast(null AS string)"
        codes = ", ".join(f"`{c}`" for c in subject.codes) or "cast(null AS string)"
        published = "published_at" if "published_at" in rows.columns else "cast(null AS timestamp)"
        part = rows.selectExpr(
            f"'{contract.feed.department if contract.feed else contract.id}' AS department",
            f"`{subject.key}` AS department_key",
            f"{name} AS name",
            f"coalesce({codes}, cast(null AS string)) AS code",
            f"{published} AS published_at",
            "version_no AS said_no",
            f"to_json(struct('{contract.id}' AS contract, {', '.join(contract.silver.keys)})) AS place",
            *TRACE,
        )
        parts = part if parts is None else parts.unionByName(part)
    told = versions(parts.where("department_key IS NOT NULL"), ["department", "department_key"],
                    ["published_at", "said_no", "place"], ["name", "code"])  # fmt: skip
    return told.alias("s").join(codes_of(reader).alias("r"), _sql("s.code = r.registry_code"), "left").selectExpr(
        "department", "department_key", "version_no", "name", "code", "enterprise_id",
        "if(enterprise_id IS NULL, null, greatest(known_at, registry_known_at)) AS resolved_at", "published_at", *TRACE,
    )  # fmt: skip


def codes_of(reader: Reader) -> DataFrame:
    """National codes that name exactly one registered enterprise: `registry_code`, `enterprise_id`, and since when."""
    nothing = "registry_code string, enterprise_id string, registry_known_at timestamp"
    if not reader.has(REGISTRY):
        return reader.spark.createDataFrame([], nothing)
    registered = _versioned(reader, REGISTRY).where("uscc IS NOT NULL")
    held = registered.selectExpr("uscc AS registry_code", "uscc AS enterprise_id", "known_at").unionByName(
        registered.selectExpr("registration_number AS registry_code", "uscc AS enterprise_id", "known_at")
    )
    found = held.where("registry_code IS NOT NULL").groupBy("registry_code").agg(
        _sql("min(enterprise_id) AS enterprise_id"), _sql("min(known_at) AS registry_known_at"),
        _sql("count(DISTINCT enterprise_id) AS enterprises"),
    )  # fmt: skip
    return found.where("enterprises = 1").drop("enterprises")


def unresolved(reader: Reader) -> dict[str, int]:
    """How many numbers of each department lead to no registered enterprise."""
    open_keys = reader.silver(SUBJECTS).groupBy("department", "department_key").agg(_sql("max(enterprise_id) AS found"))
    rows = open_keys.where("found IS NULL").groupBy("department").count().collect()
    return {row["department"]: row["count"] for row in sorted(rows, key=lambda r: r["department"])}


def enterprise(reader: Reader) -> DataFrame | None:
    """One row per version of a registered enterprise; None before the registry was pulled."""
    if not reader.has(REGISTRY):
        return None
    said = _versioned(reader, REGISTRY).where("uscc IS NOT NULL")
    facts = said.selectExpr(
        "uscc AS enterprise_id", "name", "uscc", "founded_on AS registered_on", "industry_code",
        "region_code AS region", "registered_capital_cny", "cast(null AS bigint) AS staff", "published_at",
        "version_no AS said_no", "enterprise_key", *TRACE,
    )  # fmt: skip
    order = ["published_at", "said_no", "enterprise_key"]
    found = versions(facts, ["enterprise_id"], order, ["name", *REGISTRY_FACTS])
    return found.select("enterprise_id", "version_no", "name", *REGISTRY_FACTS, *TRACE)


def vat_invoice(reader: Reader) -> DataFrame | None:
    """One row per version of an invoice and side that is a registered enterprise; None before the ledger was pulled."""
    if not reader.has(INVOICES):
        return None
    return invoices_of(ledger(reader), tax_parties(reader))


def ledger(reader: Reader) -> DataFrame:
    """The common ledger of invoices: one row per version of an invoice."""
    return _versioned(reader, INVOICES)


def invoices_of(issued: DataFrame, parties: DataFrame) -> DataFrame:
    """The same of some invoices of the ledger: all versions of each, and of what its red letters name."""
    return invoices.by_side(issued, parties).selectExpr("*", f"'{INVOICES}' AS source")


def party_tables(reader: Reader) -> list[str]:
    """The tables of silver that tell whose a number of the tax office is."""
    record = reader.known[REGISTRY].silver if reader.has(REGISTRY) else None
    return [*([record.table] if record else []), *([SUBJECTS] if _has_subjects(reader) else [])]


def tax_parties(reader: Reader) -> DataFrame:
    """`tax_number`, `enterprise_id`, `party_known_at`: by the registry's codes, else by the tax office's own list."""
    exact = codes_of(reader).selectExpr(
        "registry_code AS tax_number", "enterprise_id", "registry_known_at AS party_known_at", "1 AS choice"
    )
    if _has_subjects(reader):
        listed = reader.silver(SUBJECTS).where(f"department IN {TAX_DEPARTMENTS} AND enterprise_id IS NOT NULL")
        exact = exact.unionByName(
            listed.selectExpr(
                "department_key AS tax_number", "enterprise_id", "resolved_at AS party_known_at", "2 AS choice"
            )
        )
    return _one_enterprise(exact, "tax_number")


def loan(reader: Reader) -> DataFrame | None:
    """One row per version of a loan of this bank with the dated events that decide its outcome.

    A state is what the bank's change log had told of the loan, its month's ends and its guarantees up to one entry.
    Days past due are told at a month's end: the day on which they reached 31 or 90 is reckoned back from it, and a
    later month never moves it. Loans of clients that no code resolves are left out. None before loans were pulled.
    """
    if not reader.has(LOAN) or not _has_subjects(reader):
        return None
    nothing = {
        "customer_number": "string", "drawn_on": "date", "due_on": "date", "principal_cny": "decimal(18,2)",
        "dpd31_on": "date", "dpd90_on": "date", "guarantor_paid_on": "date", "written_off_on": "date",
        "closed_on": "date",
    }  # fmt: skip
    told = _folded(_versioned(reader, LOAN), nothing, {
        "customer_number": "customer_number", "drawn_on": "started_on", "due_on": "matures_on",
        "principal_cny": "principal_cny", "closed_on": "closed_on",
        "written_off_on": "if(status = 'written_off', closed_on, null)",
    })  # fmt: skip
    if reader.has(MONTH):
        reached = "min(if(days_past_due >= {0}, date_sub(month_end, cast(days_past_due - {0} AS int)), null)) OVER "
        so_far = "(PARTITION BY loan_number ORDER BY change_id ROWS UNBOUNDED PRECEDING)"
        months = _versioned(reader, MONTH)
        dated = {"dpd31_on": reached.format(31) + so_far, "dpd90_on": reached.format(90) + so_far}
        told = told.unionByName(_folded(months, nothing, dated))
    if reader.has(GUARANTEE):
        paid = {"guarantor_paid_on": "if(paid_cny > 0, called_on, null)"}
        told = told.unionByName(_folded(_versioned(reader, GUARANTEE), nothing, paid))
    states = versions(told, ["loan_number"], ["change_id"], list(nothing), carry=True)
    clients = reader.silver(SUBJECTS).where("department = 'core_bank' AND enterprise_id IS NOT NULL")
    owners = _one_enterprise(
        clients.selectExpr("department_key", "enterprise_id", "resolved_at AS party_known_at", "1 AS choice"),
        "department_key",
    )
    return states.join(owners, _sql("customer_number = department_key")).selectExpr(
        "loan_number AS loan_id", "version_no", "enterprise_id", *[c for c in nothing if c != "customer_number"],
        "greatest(known_at, party_known_at) AS known_at", *[c for c in TRACE if c != "known_at"],
    )  # fmt: skip


def equipment_reading(reader: Reader) -> DataFrame:
    """One row per machine's block of readings and hour of it, by version: what the machine did in that hour.

    `read_at` is the hour by the machine's own clock, which may be wrong; `sequence_no` counts the machine's blocks, so
    that a gap shows. Energy is in kilowatt-hours in both of the source's schema versions.
    """
    lists = {
        "hours": "int", "running_minutes": "int", "output_units": "bigint", "energy": "decimal(18,3)",
        "temperature_c": "decimal(9,2)", "vibration_mm_s": "decimal(9,3)", "alarm_code": "int",
    }  # fmt: skip
    blocks = _versioned(reader, READINGS)
    for name, kind in lists.items():
        blocks = blocks.withColumn(name, _sql(f"from_json({name}, 'array<{kind}>')"))
    told = blocks.selectExpr("*", f"arrays_zip({', '.join(lists)}) AS told").drop(*lists)
    hours = told.selectExpr("*", "inline(told)")
    return hours.selectExpr(
        "event_id", "machine_id", "timestampadd(HOUR, hours, event_at) AS read_at", "version_no",
        "block_number AS sequence_no", "running_minutes", "output_units",
        "cast(if(schema_version >= 2, energy / 1000, energy) AS decimal(18,3)) AS energy_kwh", "temperature_c",
        "vibration_mm_s", "alarm_code", "published_at", *TRACE,
    )  # fmt: skip


def _folded(rows: DataFrame, nothing: Mapping[str, str], told: Mapping[str, str]) -> DataFrame:
    """Entries of the change log with what they tell of a loan; the rest is null."""
    cells = [f"cast({told.get(name, 'null')} AS {kind}) AS {name}" for name, kind in nothing.items()]
    return rows.selectExpr("loan_number", "change_id", *cells, *TRACE)


def _one_enterprise(rows: DataFrame, key: str) -> DataFrame:
    """One enterprise per key: by the lower choice, then by what was known first."""
    found = rows.groupBy(key).agg(_sql("min(struct(choice, party_known_at, enterprise_id)) AS best"))
    return found.selectExpr(key, "best.enterprise_id AS enterprise_id", "best.party_known_at AS party_known_at")


def _versioned(reader: Reader, contract_id: str) -> DataFrame:
    record = reader.known[contract_id].silver
    assert record is not None, f"{contract_id} has no property silver"
    return reader.silver(record.table)


def _has_subjects(reader: Reader) -> bool:
    return any(c.silver and c.silver.subject and reader.has(c.id) for c in reader.known.values())


def _sql(expression: str) -> Column:
    from pyspark.sql import functions

    return functions.expr(expression)


READINGS_TABLE = Table("silver.equipment_reading", (READINGS,), equipment_reading)
