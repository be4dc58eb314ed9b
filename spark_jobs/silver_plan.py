"""Which tables of silver have to be built: those whose inputs, contracts or code are not what the last build read.

A table is left alone when the newest version of its build was built (`lakehouse.builds`) and nothing it was made from
has changed since; whatever else stands there (a killed attempt, a late commit, a plant) is built over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse import builds, contracts, tables
from lakehouse.builds import Input
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.contracts import Contract

# The code that decides what silver's tables hold; a change of it makes them anew.
CODE = ("silver.py", "silver_bureau.py", "silver_economy.py", "silver_files.py", "silver_versions.py", "invoices.py")


@dataclass(frozen=True)
class Table:
    """A table of silver: the contracts whose bronze tables it is made from, and how.

    `make` gets a `Reader` and returns the rows. `always`: built, if empty, also before any input was published.
    `update` brings its build, which stands at the published version, up to date instead, from the inputs of then to
    those of now; it returns False where that would not do or not pay. `tokens`: whether columns may hold tokens of
    persons. `day`: the column of dates in whose order its files are written.
    """

    name: str
    contracts: tuple[str, ...]
    make: Callable[[Reader], DataFrame]
    always: bool = False
    update: Callable[[Reader, Input, Input], bool] | None = None
    tokens: bool = False
    day: str | None = None


class Reader:
    """What makers of tables read: accepted rows of bronze as published, and silver as it stands in this build."""

    def __init__(self, spark: SparkSession, known: Mapping[str, Contract]) -> None:
        self.spark, self.known = spark, known
        self.versions = tables.current_manifest().versions

    def has(self, contract_id: str) -> bool:
        """Whether rows of a contract have been published yet."""
        return contract_id in self.known and self.known[contract_id].bronze_table in self.versions

    def accepted(self, contract_id: str) -> DataFrame:
        """The accepted rows of a contract; empty, with the right columns, before its first batch."""
        return accepted_rows(self.spark, self.known[contract_id])

    def silver(self, table: str) -> DataFrame:
        """A table of silver as built last, in this run or before."""
        return self.spark.table(tables.build_name(table))


class PublishedReader(Reader):
    """Reads silver as readers have it."""

    def silver(self, table: str) -> DataFrame:
        """A table of silver as published."""
        return tables.read(self.spark, table)


def accepted_rows(spark: SparkSession, contract: Contract) -> DataFrame:
    """The accepted rows of a contract as published; empty, with the right columns, before its first drop."""
    if tables.is_published(spark, contract.bronze_table):
        return tables.read(spark, contract.bronze_table).where("disposition = 'accepted'")
    columns = [f"{c.name} {c.spark_type}" for c in contract.columns]
    trace = (
        "record_key string, record_hash string, known_at timestamp, known_at_is_assumed boolean, received_on date, "
        "batch_id string, batch_sequence bigint, source_file string, row_number bigint"
    )
    return spark.createDataFrame([], ", ".join([*columns, trace]))


def inputs(table: Table, known: Mapping[str, Contract], published: Mapping[str, int]) -> Input:
    """What a table would be made from now."""
    read = [known[name] for name in table.contracts if name in known]
    versions = {c.bronze_table: published[c.bronze_table] for c in read if c.bronze_table in published}
    code = (Path(__file__).with_name(name) for name in CODE)
    return Input(versions, builds.definition(code, read))


def is_current(table: Table, now: Input, built: Mapping[tuple[str, int], Input], head: int | None) -> bool:
    """Whether the newest version of a table's build is the one that its inputs make."""
    return head is not None and built.get((table.name, head)) == now


def load_contracts() -> dict[str, Contract]:
    """The contracts of this project."""
    return contracts.load_all(get_settings().contracts_dir)
