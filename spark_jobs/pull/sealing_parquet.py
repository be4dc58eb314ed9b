"""Sealing of Parquet: sealed columns become text, all others keep their type and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import SourceError
from lakehouse.vault import Item
from spark_jobs.pull.sealing_json import Seal
from spark_jobs.pull.sealing_plan import Node, Plan, Rule

ROWS = 20_000


def seal_table(source: BinaryIO, target: BinaryIO, plan: Plan, seal: Seal, where: str) -> None:
    """Seals a file group of rows by group of rows. Raises a SourceError where it is not Parquet."""
    try:
        file = pq.ParquetFile(source)
        groups = file.metadata.num_row_groups
        packing = file.metadata.row_group(0).column(0).compression if groups and file.metadata.num_columns else "SNAPPY"
        writer = None
        for batch in file.iter_batches(ROWS):
            sealed = _seal_batch(batch, plan, seal)
            writer = writer or pq.ParquetWriter(target, sealed.schema, compression=packing)
            writer.write_batch(sealed)
        if writer is None:
            empty = _seal_batch(pa.RecordBatch.from_pylist([], file.schema_arrow), plan, seal)
            writer = pq.ParquetWriter(target, empty.schema, compression=packing)
        writer.close()
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        raise SourceError(
            "the file is not sound Parquet; it holds personal fields, and what cannot be read cannot be sealed",
            where=where,
            remedy="nothing of it was kept; ask the sender to send it again",
        ) from error


def _seal_batch(batch: pa.RecordBatch, plan: Plan, seal: Seal) -> pa.RecordBatch:
    columns = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
    sealer = _Columns(columns, plan, seal)
    arrays = [sealer.column(name, array) for name, array in columns.items()]
    fields = [
        field if array.type == field.type else pa.field(field.name, array.type, field.nullable)
        for field, array in zip(batch.schema, arrays, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=batch.schema.metadata))


class _Columns:
    """Seals the columns of one batch, with the batch's own columns as their persons."""

    def __init__(self, columns: Mapping[str, pa.Array], plan: Plan, seal: Seal) -> None:
        self._columns, self._plan, self._seal = columns, plan, seal

    def column(self, name: str, array: pa.Array) -> pa.Array:
        plan = self._plan
        if name in plan.rules:
            return self._sealed(array, plan.rules[name])
        if name in plan.root.below and pa.types.is_struct(array.type):
            return self._struct(array, plan.root.below[name])
        return array if name in plan.clear else self._sealed(array, plan.unknown)

    def _struct(self, array: pa.StructArray, node: Node) -> pa.StructArray:
        names, arrays = [field.name for field in array.type], []
        for name, part in zip(names, array.flatten(), strict=True):
            if name in node.seals:
                arrays.append(self._sealed(part, node.seals[name]))
            elif name in node.below and pa.types.is_struct(part.type):
                arrays.append(self._struct(part, node.below[name]))
            else:
                arrays.append(part if node.is_open or name in node.known else self._sealed(part, self._plan.unknown))
        return pa.StructArray.from_arrays(arrays, names, mask=array.is_null())

    def _sealed(self, array: pa.Array, rule: Rule) -> pa.Array:
        values = [_text(value) for value in array.to_pylist()]
        persons = self._texts(rule.subject, len(values))
        judges = {path: self._texts(path, len(values)) for path, _ in rule.exempt}
        items, places = [], []
        for place, (value, person) in enumerate(zip(values, persons, strict=True)):
            if value is None or not value.strip() or rule.spares(lambda path, place=place: judges[path][place]):
                continue
            places.append(place)
            named = person is not None and person.strip()
            items.append(
                Item(rule.kind, value, rule.subject_kind, person) if named else Item(rule.kind, value, rule.kind, value)
            )
        sealed: list[str | None] = list(values)
        for place, text in zip(places, self._seal(items), strict=True):
            sealed[place] = text
        return pa.array(sealed, pa.string())

    def _texts(self, path: tuple[str, ...], rows: int) -> list[str | None]:
        array = self._columns.get(".".join(path))
        if array is None:
            array = self._columns.get(path[0]) if path else None
            for step in path[1:]:
                array = _field(array, step)
        return [_text(value) for value in array.to_pylist()] if array is not None else [None] * rows


def _field(array: pa.Array | None, name: str) -> pa.Array | None:
    if array is None or not pa.types.is_struct(array.type) or array.type.get_field_index(name) < 0:
        return None
    return array.flatten()[array.type.get_field_index(name)]


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return None if value is None else str(value)
