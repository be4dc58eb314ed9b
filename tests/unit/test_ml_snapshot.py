"""Frozen samples are immutable, found by content, and refuse to be what they are not."""

from __future__ import annotations

import numpy as np
import pytest
from ml_factories import portfolio

from lakehouse.errors import ModelError
from ml.snapshot import ROWS, freeze, load, row_hash

ABOUT = {"target_fingerprint": "t1", "query_date": "2024-01-01", "waterfall": []}


def test_equal_rows_give_the_same_folder_whatever_their_order(tmp_path):
    rows = portfolio(50)
    first = freeze(rows, ABOUT, tmp_path)
    again = freeze(rows.sample(frac=1, random_state=1), {**ABOUT, "manifest_id": 9}, tmp_path)
    assert first.snapshot_id == again.snapshot_id == first.path.name
    assert "manifest_id" not in again.manifest
    assert [p.name for p in tmp_path.iterdir()] == [first.snapshot_id]
    assert len(first.rows()) == 50


@pytest.mark.parametrize("about", [{"target_fingerprint": "t2"}, {"query_date": "2024-02-01"}])
def test_another_target_or_date_is_another_sample(tmp_path, about):
    rows = portfolio(50)
    assert freeze(rows, ABOUT, tmp_path).snapshot_id != freeze(rows, ABOUT | about, tmp_path).snapshot_id


def test_one_changed_value_changes_the_hash():
    rows = portfolio(50)
    changed = rows.copy()
    changed.loc[3, "sales_cv_12m_ratio"] = np.nextafter(changed.loc[3, "sales_cv_12m_ratio"], 9)
    assert row_hash(rows) != row_hash(changed)
    assert row_hash(rows) == row_hash(rows[rows.columns[::-1]])


def test_files_are_read_only_and_damage_is_found(tmp_path):
    snapshot = freeze(portfolio(50), ABOUT, tmp_path)
    path = snapshot.path / ROWS
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    portfolio(50, seed=2).to_parquet(path)
    with pytest.raises(ModelError, match="not what it was"):
        load(snapshot.path).rows()


def test_a_sample_that_was_never_frozen(tmp_path):
    with pytest.raises(ModelError, match="no frozen sample"):
        load(tmp_path / "abc")
