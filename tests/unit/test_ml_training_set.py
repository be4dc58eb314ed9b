"""A spine that somebody brings is checked row by row; what is frozen of it can be found again and told apart."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from lakehouse.errors import ConfigError, ModelError
from ml import training_set
from ml.configuration import get_config
from spark_jobs import feature_access

GOOD = "enterprise_id,as_of,is_bad\nE1,2022-01-05,0\nE2,2022-01-05,1\n"
TARGET = get_config().target


def spine(tmp_path, text: str = GOOD):
    path = tmp_path / "spine.csv"
    path.write_text(text)
    return training_set.read_spine(path)


def joined(rows: pd.DataFrame, **features: list) -> pa.Table:
    table = training_set.to_arrow(rows)
    table = table.append_column("features_as_of", table["as_of"])
    for name, values in features.items():
        table = table.append_column(name, pa.array(values))
    return table


def make(tmp_path, rows: pd.DataFrame, table: pa.Table, query_date: str = "2024-01-01"):
    return training_set.make(rows, table, TARGET, pd.Timestamp(query_date), {"manifest_id": 3}, tmp_path / "sets")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("enterprise_id,as_of\nE1,2022-01-05\n", "no column is_bad"),
        (GOOD + "E3,05/01/2022,0\n", "row 3: '05/01/2022' is no date"),
        (GOOD + "E3,2022-01-05T10:00,0\n", "is no date"),
        (GOOD + "E3,2022-01-05,2\n", "row 3: '2' is no label"),
        (GOOD + "E3,2022-01-05,\n", "is no label"),
        (GOOD + ",2022-01-05,0\n", "row 3: '' names no enterprise"),
        (GOOD + "E1,2022-01-05,1\n", "row 3: 'E1' is there twice"),
        ("enterprise_id,as_of,is_bad\n", "no rows"),
    ],
)
def test_what_is_wrong_with_a_spine_is_named_with_its_row(tmp_path, text, told):
    with pytest.raises(ModelError, match=told):
        spine(tmp_path, text)


def test_parquet_and_csv_are_one_spine(tmp_path):
    rows = spine(tmp_path)
    rows.to_parquet(tmp_path / "spine.parquet")
    pd.testing.assert_frame_equal(training_set.read_spine(tmp_path / "spine.parquet"), rows)
    with pytest.raises(ModelError, match="no such file"):
        training_set.read_spine(tmp_path / "other.csv")


def test_a_label_that_is_not_mature_is_refused(tmp_path):
    rows = spine(tmp_path)
    with pytest.raises(ModelError, match="2 labels are not mature"):
        make(tmp_path, rows, joined(rows), "2022-06-01")
    assert not (tmp_path / "sets").exists()


def test_the_manifest_says_what_was_made_of_what(tmp_path):
    rows = spine(tmp_path)
    frozen = make(tmp_path, rows, joined(rows, sales_cny=[1.0, None]).slice(0, 1))
    assert frozen.manifest["not_known_by_then"] == 1
    assert (frozen.manifest["rows"], frozen.manifest["bads"], frozen.manifest["features"]) == (1, 0, ["sales_cny"])
    assert frozen.manifest["manifest_id"] == 3
    assert make(tmp_path, rows, joined(rows, sales_cny=[1.0, None]).slice(0, 1)).path == frozen.path
    assert make(tmp_path, rows, joined(rows, sales_cny=[1.5, None]).slice(0, 1)).path != frozen.path


def test_a_spine_of_strangers_is_refused(tmp_path):
    rows = spine(tmp_path)
    with pytest.raises(ModelError, match="of no firm"):
        make(tmp_path, rows, joined(rows).slice(0, 0))


def test_a_row_takes_the_last_date_before_it_and_none_that_is_old():
    built = [pd.Timestamp(day).date() for day in ("2022-01-01", "2022-02-01", "2022-03-01")]
    for day, taken in (("2022-01-31", 0), ("2022-02-01", 1), ("2022-02-28", 1), ("2022-04-01", 2)):
        assert feature_access._latest(built, pd.Timestamp(day).date()) == built[taken]
    for day in ("2021-12-31", "2022-04-02"):
        with pytest.raises(ConfigError, match=f"no features were built for {day}"):
            feature_access._latest(built, pd.Timestamp(day).date())
