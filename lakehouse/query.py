"""SQL for people: any published table, now or as known at a date. Reads only, and never an unaudited build."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import known, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import get_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Spark reads `delta.`/a/path`` as a table: that would pass every gate by.
FILE_FORMATS = {"delta", "parquet", "csv", "json", "text", "orc", "avro", "xml", "binaryfile"}


def run(spark: SparkSession, statement: str, as_of: date | None = None) -> DataFrame:
    """The rows of a query. With `as_of`, every table is read as it was known at 00:00 of that date:

    bronze: rows known by then; silver: each record as known then (`lakehouse.known`); gold: rows computed for
    dates up to then. Tables without a time are read as they are.
    """
    from sqlglot import exp

    tree = _parse(statement)
    commons = {c.alias_or_name for c in tree.find_all(exp.CTE)}
    for node in list(tree.find_all(exp.Table)):
        schema = node.db.lower()
        if not isinstance(node.this, exp.Identifier):
            continue  # a function that makes rows, such as range(10)
        if schema.endswith("_build"):
            raise ConfigError(
                f"{node.sql()} is a build that no gate has passed",
                remedy=f"read {schema.removesuffix('_build')}.{node.name}",
            )
        if schema in FILE_FORMATS:
            raise ConfigError(
                f"{node.sql()} names files, not a published table", remedy="`vinelake tables` lists the tables"
            )
        if as_of and (schema or node.name not in commons):
            _read_as_known(spark, node, as_of)
    return spark.sql(tree.sql(dialect="spark"))


def in_business_time(frame: DataFrame) -> DataFrame:
    """The same rows with timestamps as text in the business time zone.

    A client turns collected timestamps into its machine's time: known at 00:00 of a day would be shown as
    the evening before on a machine that runs in UTC.
    """
    kinds = [kind for _, kind in frame.dtypes]
    if "timestamp" not in kinds:
        return frame
    cells = [f"cast(c{i} AS string)" if kind == "timestamp" else f"c{i}" for i, kind in enumerate(kinds)]
    numbered = frame.toDF(*(f"c{i}" for i in range(len(kinds))))  # names may stand twice
    return numbered.selectExpr(*cells).toDF(*frame.columns)


def listing(spark: SparkSession) -> list[tuple[str, int, Sequence[str]]]:
    """Every published table with its version and columns."""
    versions = tables.current_manifest().versions
    return [(t, v, tables.read(spark, t).columns) for t, v in sorted(versions.items())]


def _parse(statement: str):
    import sqlglot
    from sqlglot import errors, exp

    try:
        parsed = sqlglot.parse(statement, dialect="spark")
    except errors.SqlglotError as error:
        raise ConfigError(
            f"not readable as Spark SQL: {str(error).splitlines()[0]}", remedy="mend the statement"
        ) from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query | exp.Describe | exp.Show | exp.Command):
        raise ConfigError("one query at a time, and reading only", remedy="write a single SELECT")
    if isinstance(parsed[0], exp.Command) and parsed[0].this.upper() not in ("SHOW", "DESCRIBE", "EXPLAIN"):
        raise ConfigError(f"{parsed[0].this} is not a query", remedy="write a single SELECT")
    return parsed[0]


def _read_as_known(spark: SparkSession, node, as_of: date) -> None:
    """Replaces a table in the tree by what of it was known at the date."""
    import sqlglot
    from sqlglot import exp

    name = node.sql(dialect="spark", comments=False) if not node.alias else exp.table_(node.name, node.db).sql()
    columns = set(spark.table(name).columns)
    schema, table = node.db.lower(), f"silver.{node.name.lower()}"
    has_versions = schema == get_settings().schema_name("silver") and {"known_at", "version_no"} <= columns
    if has_versions and known.record_keys(table):
        text = known.statement(table, name, sorted(columns), as_of)
    elif "known_at" in columns:
        text = f"SELECT * FROM {name} WHERE known_at <= {known.moment(as_of)}"
    elif "known_on" in columns:
        text = f"SELECT * FROM {name} WHERE known_on <= date'{as_of}'"
    elif "as_of" in columns:
        text = f"SELECT * FROM {name} WHERE as_of <= date'{as_of}'"
    else:
        return
    inner = sqlglot.parse_one(text, dialect="spark")
    node.replace(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(node.alias or node.name))))
