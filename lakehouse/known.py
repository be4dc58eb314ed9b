"""Tables as they were known at a date: one definition, the dbt macro `as_known`, rendered here for Python and SQL.

A row of silver is a version of a record. Known at D is, of each record, the highest `version_no` among those with
`known_at` <= D 00:00; a record whose version is a deletion is gone. A late version counts from its own `known_at` on,
so that an earlier D reads as it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import contracts, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import PROJECT_DIR, get_settings
from lakehouse.time import business_midnight

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What identifies a record in the tables that no single contract describes.
CONFORMED_KEYS = {
    "silver.vat_invoice": ("invoice_id",),
    "silver.enterprise": ("enterprise_id",),
    "silver.loan": ("loan_id",),
    "silver.credit_record": ("enterprise_id",),
    "silver.department_subject": ("department", "department_key"),
    "silver.equipment_reading": ("event_id", "read_at"),
    "silver.enterprise_key": ("system", "department", "key"),
    "silver.identity_link": ("mention_id",),
}
EFFECTIVE = {"effective_from", "effective_to"}


def as_known(spark: SparkSession, table: str, as_of: date, effective_on: date | None = None) -> DataFrame:
    """The rows of a published table of silver as known at 00:00 of a date, one per record that was not deleted.

    `effective_on`: of tables whose rows hold for a time (`effective_from`, `effective_to`), the rows of that day alone.
    ConfigError for a table that is not published, has no versions, or no effective time where one is asked for.
    """
    name = tables.published_name(table)
    if not tables.is_published(spark, table):
        raise ConfigError(f"{table} is not published", remedy="`vinelake tables` lists the tables")
    return spark.sql(statement(table, name, spark.table(name).columns, as_of, effective_on))


def statement(table: str, relation: str, columns: Sequence[str], as_of: date, effective_on: date | None = None) -> str:
    """The query behind `as_known`: `relation` is where the rows are read, `columns` what it has."""
    keys = record_keys(table)
    if keys is None or not {"known_at", "version_no"} <= set(columns):
        raise ConfigError(
            f"{table} holds no versions of records",
            remedy="ask for a table of silver with version_no and known_at; `vinelake tables` lists the columns",
        )
    if effective_on and not set(columns) >= EFFECTIVE:
        raise ConfigError(
            f"rows of {table} do not hold for a time of their own",
            remedy="leave out effective_on; only tables with effective_from and effective_to have one",
        )
    day = f"date'{effective_on}'" if effective_on else None
    deletes = "is_deleted" in columns
    return macro("as_known", relation, list(keys), moment(as_of), deletes=deletes, effective_on=day)


def record_keys(table: str) -> tuple[str, ...] | None:
    """The columns that identify a record of a table of silver, by its contract where it has one; None elsewhere."""
    if table in CONFORMED_KEYS:
        return CONFORMED_KEYS[table]
    return next((c.silver.keys for c in _contracts().values() if c.silver and c.silver.table == table), None)


def is_deletable(table: str) -> bool:
    """Whether a version of a table's records may say that the record is gone (`is_deleted`)."""
    return any(c.silver and c.silver.table == table and c.silver.deleted for c in _contracts().values())


def moment(day: date) -> str:
    """00:00 of a day in business time, as an SQL literal."""
    return f"timestamp'{business_midnight(day).isoformat()}'"


def known_on(instant: str) -> str:
    """SQL: the first day at whose 00:00 an instant is past, by the macro `known_day`."""
    return macro("known_day", instant)


def macro(name: str, *arguments: Any, **named: Any) -> str:
    """The text that a macro of the dbt project gives; only macros without dbt's own functions can be asked for."""
    return str(getattr(_macros(), name)(*arguments, **named))


def _contracts() -> Mapping[str, contracts.Contract]:
    folder = get_settings().contracts_dir
    return _load(folder, tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.glob("*.yaml"))))


@lru_cache(maxsize=4)
def _load(folder: Path, _changed: tuple[tuple[str, int], ...]) -> Mapping[str, contracts.Contract]:
    return contracts.load_all(folder)


@lru_cache(maxsize=1)
def _macros() -> Any:
    import jinja2

    folder = PROJECT_DIR / "dbt_project" / "macros"
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql")))
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string("\n".join(texts)).module
