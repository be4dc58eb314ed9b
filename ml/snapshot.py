"""Frozen samples: what a model was trained on, immutable and found again by its content."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lakehouse.errors import ModelError

ROWS, MANIFEST = "rows.parquet", "manifest.json"


@dataclass(frozen=True)
class Snapshot:
    """A frozen sample on disk: `path`/rows.parquet and `path`/manifest.json."""

    snapshot_id: str
    path: Path
    manifest: dict

    def rows(self) -> pd.DataFrame:
        """The sample's rows; refused when they are not what was frozen, up to rows that erasures took out."""
        rows = pd.read_parquet(self.path / ROWS)
        erasures = self.manifest.get("erasures", [])
        if row_hash(rows) != (erasures[-1]["row_hash_after"] if erasures else self.manifest["row_hash"]):
            raise ModelError(
                "a frozen sample is not what it was when it was frozen",
                where=str(self.path),
                remedy="delete the folder and freeze the dataset again; models trained on it are suspect",
            )
        return rows


def row_hash(rows: pd.DataFrame) -> str:
    """sha256 (hex) over the rows in key order and the columns in name order; independent of file layout."""
    ordered = rows.sort_values(["as_of", "enterprise_id"], kind="stable")[sorted(rows.columns)]
    digest = hashlib.sha256(json.dumps(sorted(rows.columns)).encode())
    for column in ordered.columns:
        values = ordered[column]
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            numbers = values.to_numpy(dtype=float, na_value=np.nan)
            numbers = np.where(np.isnan(numbers), np.nan, numbers) + 0.0
            digest.update(numbers.tobytes())
        else:
            digest.update("\x1f".join(values.astype(str)).encode())
    return digest.hexdigest()


def freeze(rows: pd.DataFrame, about: dict, folder: Path) -> Snapshot:
    """Write rows and manifest under `folder`/<sha256>/, once: equal rows and target give the same folder.

    `about` holds at least `target_fingerprint`, `query_date`, and what else a reader should know (waterfall,
    number of the publication read). Files are read-only. A crash leaves no half folder: it is made aside
    and moved.
    """
    content = row_hash(rows)
    identity = json.dumps([content, about["target_fingerprint"], str(about["query_date"])])
    snapshot_id = hashlib.sha256(identity.encode()).hexdigest()
    path = folder / snapshot_id
    if (path / MANIFEST).exists():
        return load(path)
    manifest = {
        "snapshot_id": snapshot_id,
        "row_hash": content,
        "rows": len(rows),
        "bads": int(rows["is_bad"].sum()),
        "columns": sorted(rows.columns),
        **about,
    }
    draft = folder / f".{snapshot_id}.{uuid.uuid4().hex}"
    draft.mkdir(parents=True)
    # Spark reads microseconds at most.
    rows.to_parquet(draft / ROWS, index=False, coerce_timestamps="us")
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, default=str), encoding="utf-8")
    for name in (ROWS, MANIFEST):
        (draft / name).chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    try:
        draft.replace(path)
    except OSError:
        shutil.rmtree(draft)
        if not (path / MANIFEST).exists():
            raise
    return load(path)


def without(snapshot: Snapshot, gone: pd.Series, erasure: str) -> dict:
    """Take rows out of a frozen sample for an erasure, and note it in the sample's manifest; returns that note.

    `gone` marks the rows (bool, one a row). The manifest keeps the hash of what was frozen beside the one of what is
    left. The manifest comes first: after a kill between the two, the sample is refused until the erasure goes on.
    """
    rows = pd.read_parquet(snapshot.path / ROWS)
    earlier = [e for e in snapshot.manifest.get("erasures", []) if e["erasure"] != erasure]
    note = next((e for e in snapshot.manifest.get("erasures", []) if e["erasure"] == erasure), None)
    if gone.any():
        left = rows[~gone.to_numpy()].reset_index(drop=True)
        note = {
            "erasure": erasure,
            "rows_removed": int(gone.sum()),
            "row_hash_before": row_hash(rows),
            "row_hash_after": row_hash(left),
        }
        manifest = {**snapshot.manifest, "erasures": [*earlier, note]}
        text = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
        _replace(snapshot.path / MANIFEST, lambda draft: draft.write_text(text, encoding="utf-8"))
        _replace(snapshot.path / ROWS, lambda draft: left.to_parquet(draft, index=False, coerce_timestamps="us"))
    return note or {}


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file anew in one step, read-only like the one before it."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    write(draft)
    draft.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    draft.replace(path)


def load(path: Path) -> Snapshot:
    """A frozen sample by its folder."""
    if not (path / MANIFEST).is_file():
        raise ModelError(
            f"there is no frozen sample {path.name[:12]}",
            where=str(path),
            remedy="freeze the dataset first (train_risk_models, or `vinelake model study`)",
        )
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    return Snapshot(manifest["snapshot_id"], path, manifest)
