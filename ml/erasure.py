"""Erased subjects leave the frozen samples that models were trained on, and those models are named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from lakehouse.vault.erasing import Trail
from ml import snapshot as snapshots
from ml.decisions import REGISTER, DeltaLedger
from ml.training import datasets_dir

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def strip(erasure: str, trail: Trail) -> list[dict[str, Any]]:
    """Takes the subject's rows out of every frozen sample; one note a sample that held any, now or before a kill.

    A row is the subject's if one of its cells is an identifier that the subject was found by, or one of its tokens.
    """
    notes, marks = [], {*trail.own, *trail.clear, *trail.identifiers}
    for manifest in sorted(datasets_dir().glob(f"*/{snapshots.MANIFEST}")):
        sample = snapshots.load(manifest.parent)
        note = snapshots.without(sample, _rows_of(sample, marks), erasure)
        if note:
            notes.append({"snapshot": sample.snapshot_id, **note})
    return notes


def count(trail: Trail) -> list[dict[str, Any]]:
    """How many rows `strip` would take out, by sample."""
    marks, found = {*trail.own, *trail.clear, *trail.identifiers}, []
    for manifest in sorted(datasets_dir().glob(f"*/{snapshots.MANIFEST}")):
        sample = snapshots.load(manifest.parent)
        if rows := int(_rows_of(sample, marks).sum()):
            found.append({"snapshot": sample.snapshot_id, "rows": rows})
    return found


def models(spark: SparkSession, snapshot_ids: set[str]) -> list[dict[str, str]]:
    """The registered model versions that were trained on any of the samples, by the promotion ledger."""
    entries = DeltaLedger().entries() if snapshot_ids else []
    return [
        {"model": e.model, "version": e.version, "snapshot": told}
        for e in entries
        if e.action == REGISTER and (told := json.loads(e.evidence).get("snapshot_id", "")) in snapshot_ids
    ]


def _rows_of(sample: snapshots.Snapshot, marks: set[str]) -> pd.Series:
    rows = pd.read_parquet(sample.path / snapshots.ROWS)
    texts = [c for c in rows.columns if rows[c].dtype == object or pd.api.types.is_string_dtype(rows[c])]
    return rows[texts].isin(marks).any(axis=1) if texts else pd.Series(False, index=rows.index)
