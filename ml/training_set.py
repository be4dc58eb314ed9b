"""Training sets on a spine that the risk team brings: rows of (enterprise, date, label), frozen with their features.

The spine says who, when and how it ended; the features are those known at each row's own date
(`spark_jobs.feature_access.on_spine`). What is frozen can be found again by its content, and names what it was made of.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from lakehouse.errors import ModelError
from ml.configuration import Target
from ml.labels import require_mature
from ml.snapshot import Snapshot, freeze, row_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("enterprise_id", "as_of", "is_bad")


def read_spine(path: Path) -> pd.DataFrame:
    """A spine from CSV or Parquet: `enterprise_id`, `as_of` (date), `is_bad` (0 or 1), one row a firm and date.

    ModelError that names the first thing wrong: no such file or column, a value that is no date or label, a row twice.
    """
    if not path.is_file():
        raise ModelError("there is no such file", where=str(path), remedy="name a CSV or Parquet file with the spine")
    spine = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    missing = [name for name in COLUMNS if name not in spine.columns]
    if missing:
        raise _wrong(path, f"it has no column {', '.join(missing)}", f"a spine has {', '.join(COLUMNS)}")
    spine = spine[list(COLUMNS)].reset_index(drop=True)
    days = pd.to_datetime(spine["as_of"], format="ISO8601", errors="coerce")
    _no_row(path, days.isna() | (days != days.dt.normalize()), "is no date (YYYY-MM-DD)", spine["as_of"])
    labels = pd.to_numeric(spine["is_bad"], errors="coerce")
    _no_row(path, ~labels.isin([0, 1]), "is no label: 1 is bad, 0 is good", spine["is_bad"])
    ids = spine["enterprise_id"].fillna("").astype(str)
    _no_row(path, ids.str.strip() == "", "names no enterprise", ids)
    spine = pd.DataFrame({"enterprise_id": ids, "as_of": days, "is_bad": labels.astype("int8")})
    _no_row(path, spine.duplicated(["enterprise_id", "as_of"]), "is there twice for its date", ids)
    if spine.empty:
        raise _wrong(path, "it has no rows", "give at least one row")
    return spine


def to_arrow(spine: pd.DataFrame) -> pa.Table:
    """The spine as features are joined to it."""
    return pa.table(
        {
            "enterprise_id": pa.array(spine["enterprise_id"], pa.string()),
            "as_of": pa.array(spine["as_of"].dt.date, pa.date32()),
            "is_bad": pa.array(spine["is_bad"], pa.int8()),
        }
    )


def make(
    spine: pd.DataFrame,
    joined: pa.Table,
    target: Target,
    query_date: pd.Timestamp,
    read: Mapping[str, object],
    folder: Path,
) -> Snapshot:
    """Freezes the spine's rows with their features; rows of firms that nobody knew by then leave, and are counted.

    `joined`: the rows with features; `read`: what was read, for the manifest (publication, versions of the tables). A
    label whose window is not over by `query_date` is refused: ModelError, as where no firm was known.
    """
    require_mature(spine, target, query_date)
    rows = joined.to_pandas(date_as_object=False).sort_values(["as_of", "enterprise_id"]).reset_index(drop=True)
    if rows.empty:
        raise ModelError(
            "of no firm of the spine anything was known at its date",
            where="gold.enterprise_features",
            remedy="check the spelling of enterprise_id; `vinelake features get --as-of DATE` lists who is known",
        )
    features = [name for name in rows.columns if name not in (*COLUMNS, "features_as_of")]
    about = {
        "made_from": "spine",
        "spine_hash": row_hash(spine),
        "spine_rows": len(spine),
        "not_known_by_then": len(spine) - len(rows),
        "features": features,
        "query_date": query_date.date().isoformat(),
        "target_version": target.version,
        "target_fingerprint": hashlib.sha256(target.model_dump_json().encode()).hexdigest(),
        **read,
    }
    return freeze(rows, about, folder)


def _no_row(path: Path, wrong: pd.Series, what: str, values: pd.Series) -> None:
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise _wrong(path, f"row {place + 1}: {values.iloc[place]!r} {what}", "mend the file; nothing was frozen")


def _wrong(path: Path, what: str, remedy: str) -> ModelError:
    return ModelError(f"the spine cannot be used: {what}", where=str(path), remedy=remedy)
