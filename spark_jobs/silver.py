"""Silver: bronze conformed to one vocabulary, with versions instead of corrections and both times on each row.

Two kinds of tables. A contract with the property `silver` has a versioned table of its own, one row per version of a
business record in the source's order (`spark_jobs.silver_versions`). `silver.vat_invoice`, `silver.enterprise`,
`silver.loan`, `silver.credit_record` and `silver.department_subject` are conformed from several sources, files and
feeds alike. In all of them a row is a version; the state as known at D is the highest `version_no` with
`known_at <= D`. A table is built only when what it is made from has changed (`spark_jobs.silver_plan`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lakehouse import builds, engine, ledger, tables
from lakehouse.builds import Input, Made
from lakehouse.contracts import Contract
from lakehouse.errors import ContractError
from spark_jobs import (
    silver_bureau,
    silver_economy,
    silver_files,
    silver_invoice_merge,
    silver_merge,
    silver_plan,
    silver_versions,
)
from spark_jobs.silver_plan import Reader, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Tables with tokens of persons keep the least and greatest values a file of these columns alone: a log outlives rows.
STATISTICS = ("version_no", "known_at", "received_on", "batch_id", "batch_sequence")


def build(partition: str) -> dict[str, Any]:
    """Builds aside every silver table whose inputs have changed; returns the rows of each table that was built."""
    known = silver_plan.load_contracts()
    with engine.session("silver") as spark, ledger.run(spark, "silver", partition) as run:
        published, built, made = tables.current_manifest().versions, builds.built(), []
        reader = Reader(spark, known)

        def build_table(table: Table) -> Made | None:
            now = silver_plan.inputs(table, known, published)
            if not table.always and not now.versions:
                return None
            if silver_plan.is_current(table, now, built, builds.head(table.name)):
                return None
            _make(reader, table, now, built.get((table.name, published.get(table.name, -1))))
            version, rows = builds.written(table.name)
            return Made(table.name, version, rows, now)

        for step in plan(known):
            made += [m for m in engine.side_by_side(build_table, step) if m]
        run.details.update({m.table: m.rows for m in made})
        if silver_economy.SUBJECTS in run.details:
            run.details["unresolved_subjects"] = silver_economy.unresolved(reader)
        builds.record(run.run_id, made)
        return dict(run.details)


def _make(reader: Reader, table: Table, now: Input, published: Input | None) -> None:
    """Writes a table aside: what is new into what is published where that does, else the whole of it."""
    if table.update and published and published.definition == now.definition:
        tables.begin_build(reader.spark, table.name)
        if table.update(reader, published, now):
            return
    rows = table.make(reader)
    if table.day:
        rows = in_order_of_days(rows, table.day)
    tables.overwrite(rows, table.name, STATISTICS if table.tokens else ())


def in_order_of_days(rows: DataFrame, day: str) -> DataFrame:
    """Rows as they are written where files are to be passed over by days: months one by one, each in the order of days.

    What is known today of the last weeks then lies in the last file or two of few months, which a merge writes anew.
    """
    from pyspark.sql import functions

    return rows.repartition(functions.trunc(day, "month")).sortWithinPartitions(day)


def plan(known: Mapping[str, Contract]) -> list[list[Table]]:
    """Every table of silver in steps: a table is made from bronze and from tables of earlier steps."""
    subjects = silver_economy.subjects_table(known)
    conformed = [_conformed(name, subjects) for name in CONFORMED]
    taken, versioned = {t.name for t in (subjects, silver_economy.READINGS_TABLE, *conformed)}, []
    for contract in known.values():
        if contract.silver is None:
            continue
        name = contract.silver.table
        if name in taken:
            raise ContractError(
                f"{name} would be made twice",
                where=f"contracts/{contract.id}.yaml",
                remedy="give silver.entity a name of its own",
            )
        taken.add(name)
        versioned.append(
            Table(
                name,
                (contract.id,),
                partial(_versioned, contract=contract),
                update=partial(silver_merge.update, contract=contract),
                tokens=bool(contract.personal_columns),
            )
        )
    return [versioned, [subjects, silver_economy.READINGS_TABLE], conformed]


def _versioned(reader: Reader, contract: Contract) -> DataFrame:
    return silver_versions.of_contract(reader.accepted(contract.id), contract)


def _conformed(name: str, subjects: Table) -> Table:
    files, makers = CONFORMED[name]
    feeds = FEEDS.get(name, ())
    named = tuple(dict.fromkeys([*files, *feeds, *(subjects.contracts if feeds else ())]))
    update = silver_invoice_merge.update if name == silver_invoice_merge.TABLE else None
    make = partial(_together, makers=makers)
    return Table(name, named, make, always=True, update=update, day=DAY.get(name))


def _together(reader: Reader, makers: tuple[Callable[[Reader], DataFrame | None], ...]) -> DataFrame:
    parts = [part for part in (make(reader) for make in makers) if part is not None]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return whole


# Contracts of files, and what makes the table: from files, then from feeds.
CONFORMED: dict[str, tuple[tuple[str, ...], tuple[Callable[[Reader], DataFrame | None], ...]]] = {
    "silver.vat_invoice": (
        (silver_files.SALES, silver_files.PURCHASES),
        (silver_files.vat_invoice, silver_economy.vat_invoice),
    ),
    "silver.enterprise": (
        ("gov_registry__enterprise", "bank__credit_record", "bank__applicant"),
        (silver_files.enterprise, silver_economy.enterprise),
    ),
    "silver.loan": (("bank__loan",), (silver_files.loan, silver_economy.loan, silver_bureau.loan)),
    "silver.credit_record": (("bank__credit_record",), (silver_files.credit_record,)),
}
# What features read by windows of days.
DAY = {"silver.vat_invoice": "issued_on"}
# What feeds add; a table with feeds also depends on who is who.
FEEDS: dict[str, tuple[str, ...]] = {
    "silver.vat_invoice": (silver_economy.INVOICES,),
    "silver.enterprise": (silver_economy.REGISTRY,),
    "silver.loan": (silver_economy.LOAN, silver_economy.MONTH, silver_economy.GUARANTEE, silver_bureau.REPORT),
}
