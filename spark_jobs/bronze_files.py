"""Reads the files of landed batches as they came: one raw row a record, with its place, whatever the format.

CSV (also compressed), JSON lines, JSON documents with a list of records, and Parquet. Cells stay as sent; what they
mean is decided by the row rules. Files of evidence (`binary`) hold no records and are passed over.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contracts import Column, Contract
from lakehouse.literals import quoted
from spark_jobs.landing import Batch
from spark_jobs.landing_files import ReceivedFile
from spark_jobs.pull import schema_change
from spark_jobs.row_rules import CORRUPT, FIELDS, RAW, UNREADABLE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ONE_SPLIT_PER_FILE = str(1 << 40)
SPLIT_BYTES, OPEN_COST_BYTES = str(128 << 20), str(4 << 20)  # Spark's own defaults
FILE_BYTES = 64 << 20  # of received bytes that are worth a file of the table
EVIDENCE = "binary"
# Spark writes the name as in an address, with %20 for a space; `+` stands for itself.
SOURCE_FILE = "url_decode(replace(_metadata.file_name, '+', '%2B')) AS source_file"
# A batch's files lie in a folder that bears its name.
BATCH_ID = "element_at(split(_metadata.file_path, '/'), -2) AS batch_id"
FILE = (SOURCE_FILE, BATCH_ID)
# A quote within quotes is doubled (RFC 4180); a backslash is a letter.
CSV = {"escape": '"', "columnNameOfCorruptRecord": CORRUPT}
PLACED = ("source_file", "batch_id", "row_number")
# One partition per file makes the running id within a partition the record's number in its file.
LINE_NUMBER = f"monotonically_increasing_id() % {1 << 33}L AS row_number"  # the header's is 0
ROW_NUMBER = f"monotonically_increasing_id() % {1 << 33}L + 1 AS row_number"


@dataclass(frozen=True)
class Received:
    """Files of batches that are read alike.

    `frame` has a column `raw_<name>` for each of the contract's, CORRUPT, FIELDS where the file holds more than those,
    `source_file`, `batch_id` and `row_number` (from 1 in each file). `contract` is the contract in the files' schema
    version; `held_for` are reasons to hold every row; `malformed` is the reason of a record that cannot be read.
    """

    frame: DataFrame
    contract: Contract
    schema_version: int
    malformed: str
    held_for: tuple[str, ...]


RecordFile = tuple[Batch, ReceivedFile]


def record_files(batches: Iterable[Batch]) -> list[RecordFile]:
    """The files of batches that hold records, each with its batch."""
    return [(batch, f) for batch in batches for f in batch.files if f.format != EVIDENCE and f.data_lines]


def read(spark: SparkSession, contract: Contract, files: Iterable[RecordFile]) -> list[Received]:
    """Files of a contract's batches in groups that are read alike."""
    groups: dict[tuple, list[Path]] = {}
    for batch, file in files:
        path = batch.folder / file.name
        groups.setdefault((file.format, _shape(path, file), *_version(contract, file)), []).append(path)
    # Text has to be read in one piece for its row numbers; other formats number their records themselves.
    numbered = any(key[0] in ("csv", "jsonl") for key in groups)
    spark.conf.set("spark.sql.files.maxPartitionBytes", ONE_SPLIT_PER_FILE if numbered else SPLIT_BYTES)
    spark.conf.set("spark.sql.files.openCostInBytes", ONE_SPLIT_PER_FILE if numbered else OPEN_COST_BYTES)
    found = []
    for (style, shape, version, held_for), paths in groups.items():
        at_version = contract.at_version(version)
        frame = READERS[style](spark, at_version, [_pattern(path) for path in paths], shape)
        malformed = "malformed_line" if style == "csv" else "malformed_record"
        found.append(Received(frame, at_version, version, malformed, held_for))
    return found


def pieces(files: Sequence[ReceivedFile]) -> int | None:
    """Into how many pieces the rows should be written; None where there are not too many already."""
    wanted = max(2, -(-sum(f.bytes for f in files) // FILE_BYTES))
    return wanted if len(files) > max(8, wanted) else None


def _version(contract: Contract, file: ReceivedFile) -> tuple[int, tuple[str, ...]]:
    """A file's schema version, and why its rows are held where the contract says to hold changed records."""
    if contract.feed is None or contract.feed.schema_change != "quarantine":
        return file.schema_version, ()
    found = schema_change.differences(contract, file.header, file.schema_version)
    return file.schema_version, tuple(f"schema_changed:{what}" for what in found)


def _shape(path: Path, file: ReceivedFile) -> Any:
    """What else tells files apart that cannot be read in one go."""
    if file.format == "csv":
        return file.header
    if file.format == "parquet":
        import pyarrow.parquet

        schema = pyarrow.parquet.read_schema(path)
        return tuple((field.name, str(field.type)) for field in schema)
    return None


def _pattern(path: Path) -> str:
    # Spark takes a path for a pattern: a name such as `invoices[1].csv` has to be escaped.
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))


def _read_csv(spark: SparkSession, contract: Contract, paths: list[str], header: tuple[str, ...]) -> DataFrame:
    names = {c.source_name: RAW + c.name for c in contract.columns}
    held = [names.get(cell, f"ignored_{i}") for i, cell in enumerate(header)]
    read = _split_lines if codecs.lookup(contract.encoding).name in ("utf-8", "ascii") else _parse_lines
    frame = read(spark, contract, paths, held)
    cells = [_cell(name, f"`{name}`" if name in held else None) for name in names.values()]
    fields = _fields(contract, header, [f"`{name}`" for name in held])
    return frame.selectExpr(*cells, f"`{CORRUPT}`", *fields, *PLACED)


def _parse_lines(spark: SparkSession, contract: Contract, paths: list[str], held: list[str]) -> DataFrame:
    frame = spark.read.schema(_line_schema(held)).options(**CSV, header="true", enforceSchema="true")
    cells = [f"`{name}`" for name in [*held, CORRUPT]]
    return frame.option("encoding", contract.encoding).csv(paths).selectExpr(*cells, *FILE, ROW_NUMBER)


def _split_lines(spark: SparkSession, _contract: Contract, paths: list[str], held: list[str]) -> DataFrame:
    """Lines without a quote are cut at their commas, in a third of the time that the parser takes."""
    lines = spark.read.text(paths).where("trim(value) <> ''").selectExpr("value", *FILE, LINE_NUMBER)
    options = ", ".join(quoted(text) for option in CSV.items() for text in option)
    parsed = f"from_csv(value, {quoted(_line_schema(held))}, map({options}))"
    shaped = lines.where("row_number > 0").selectExpr(
        "*",
        f"CASE WHEN contains(value, '\"') THEN {parsed} END AS parsed",
        "CASE WHEN NOT contains(value, '\"') THEN split(value, ',', -1) END AS cut",
    )
    cells = [f"coalesce(parsed.`{name}`, get(cut, {i})) AS `{name}`" for i, name in enumerate(held)]
    malformed = f"CASE WHEN size(cut) <> {len(held)} THEN value ELSE parsed.`{CORRUPT}` END AS `{CORRUPT}`"
    return shaped.selectExpr(*cells, malformed, *PLACED)


def _line_schema(held: list[str]) -> str:
    return ", ".join(f"`{name}` string" for name in [*held, CORRUPT])


def _fields(contract: Contract, header: Iterable[str], held: Iterable[str]) -> list[str]:
    """All fields as sent, for pulled feeds, which may send more than the contract knows."""
    if contract.feed is None:
        return []
    pairs = ", ".join(f"{quoted(name)}, {cell}" for name, cell in zip(header, held, strict=True))
    return [f"map({pairs}) AS `{FIELDS}`"]


def _read_json(spark: SparkSession, contract: Contract, paths: list[str], _shape: None) -> DataFrame:
    where = str(contract.feed.options.get("records", "")) if contract.feed else ""
    listed = f"try_variant_get(try_parse_json(value), {_inside(where)}, 'array<variant>')"
    documents = spark.read.text(paths, wholetext=True).selectExpr("value", *FILE)
    found = documents.selectExpr("source_file", "batch_id", f"posexplode({listed}) AS (place, record)")
    return _records(
        found.selectExpr("record", "to_json(record) AS value", "source_file", "batch_id", "place + 1L AS row_number"),
        contract,
    )


def _read_jsonl(spark: SparkSession, contract: Contract, paths: list[str], _shape: None) -> DataFrame:
    lines = spark.read.text(paths).where("trim(value) <> ''")
    return _records(lines.selectExpr("try_parse_json(value) AS record", "value", *FILE, ROW_NUMBER), contract)


def _records(found: DataFrame, contract: Contract) -> DataFrame:
    """Records as variants, which keep every digit of a number → their members as text.

    A member that is absent and one that is null are the same.
    """
    cells = [_cell(RAW + c.name, _member(c)) for c in contract.columns]
    unreadable = ", ".join(f"try_variant_get(record, {_inside(name)}, 'string')" for name in UNREADABLE)
    read = found.selectExpr("record", "value", f"coalesce({unreadable}) AS unreadable", *cells, *PLACED)
    every = ", ".join(f"`{RAW}{c.name}`" for c in contract.columns)
    # Only what shows no member at all need be looked at more closely.
    is_none = f"record IS NULL OR (coalesce({every}) IS NULL AND schema_of_variant(record) NOT LIKE 'OBJECT%')"
    return read.selectExpr(
        *(f"`{RAW}{c.name}`" for c in contract.columns),
        f"CASE WHEN {is_none} THEN value ELSE unreadable END AS `{CORRUPT}`",
        f"try_cast(record AS map<string,string>) AS `{FIELDS}`",
        *PLACED,
    )


def _member(column: Column) -> str:
    place = _inside(column.source_name)
    text = f"try_variant_get(record, {place}, 'string')"
    if not column.spark_type.startswith("decimal"):
        return text
    # A number that was sent with a power of ten is one all the same; a text of that form is none.
    written_out = f"cast(try_variant_get(record, {place}, 'decimal(38,18)') AS string)"
    is_number = f"schema_of_variant(try_variant_get(record, {place}, 'variant')) = 'DOUBLE'"
    return f"CASE WHEN {text} LIKE '%E%' AND {is_number} THEN {written_out} ELSE {text} END"


def _inside(name: str) -> str:
    """A dotted name as a path into a variant, as an SQL literal."""
    return quoted("$" + "".join(f'["{step}"]' for step in name.split(".") if step))


def _path(name: str) -> str:
    return ".".join(f"`{step}`" for step in name.split("."))


def _read_parquet(spark: SparkSession, contract: Contract, paths: list[str], shape: tuple) -> DataFrame:
    held = [name for name, _ in shape]
    cells = []
    for column in contract.columns:
        whole = f"`{column.source_name}`" if column.source_name in held else None
        nested = _path(column.source_name) if column.source_name.split(".")[0] in held else None
        cells.append(_cell(RAW + column.name, whole or nested))
    return spark.read.parquet(*paths).selectExpr(
        *cells,
        f"cast(null AS string) AS `{CORRUPT}`",
        *_fields(contract, held, [_as_text(*field) for field in shape]),
        *FILE,
        "_metadata.row_index + 1 AS row_number",
    )


def _as_text(name: str, kind: str) -> str:
    is_nested = kind.startswith(("struct", "list", "map"))
    return f"to_json(`{name}`)" if is_nested else f"cast(`{name}` AS string)"


def _cell(name: str, value: str | None) -> str:
    return f"{value or 'cast(null AS string)'} AS `{name}`"


READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet}
