"""Features by enterprise, name and date, read from the published files alone: no engine runs here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse import control, delta_log, direct, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import Settings
from spark_jobs import feature_access

INVOICES, SOURCES = feature_access.TABLES
JANUARY, FEBRUARY = date(2022, 1, 1), date(2022, 2, 1)


def write(table: str, **columns: list) -> None:
    keys = {"as_of": pa.array(columns.pop("as_of"), pa.date32())}
    write_deltalake(tables.build_location(table), pa.table(keys | columns), mode="overwrite")


def publish(number: int, versions: Mapping[str, int]) -> None:
    row = {
        "manifest_id": [number],
        "published_at": pa.array([datetime(2022, 3, number, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "versions": pa.array([list(versions.items())], pa.map_(pa.string(), pa.int64())),
    }
    write_deltalake(control.location("manifest"), pa.table(row), mode="append")


@pytest.fixture
def published(settings: Settings) -> Settings:
    """Two firms in January, three in February; of the third no other source told. A later version is not published."""
    days, firms = [JANUARY, FEBRUARY, FEBRUARY, JANUARY, FEBRUARY], ["E1", "E3", "E2", "E2", "E1"]
    write(INVOICES, as_of=days, enterprise_id=firms, sales_cny=[1.0, 32.0, 22.0, 2.0, 12.0])
    write(SOURCES, as_of=days[:1] + days[2:], enterprise_id=firms[:1] + firms[2:], loan_count=[1, 22, 2, 12])
    publish(1, {INVOICES: 0})
    publish(2, {INVOICES: 0, SOURCES: 0})
    write(INVOICES, as_of=[FEBRUARY], enterprise_id=["E9"], sales_cny=[9.0])
    return settings


def test_what_is_read_is_what_the_last_publication_names(published: Settings) -> None:
    held = tables.current_manifest()
    assert (held.manifest_id, held.versions) == (2, {INVOICES: 0, SOURCES: 0})
    got = feature_access.arrow("2022-02-01")
    assert got.column_names == ["as_of", "enterprise_id", "sales_cny", "loan_count"]
    assert got["enterprise_id"].to_pylist() == ["E1", "E2", "E3"]
    assert got["loan_count"].to_pylist() == [12, 22, None]
    publish(3, {INVOICES: 1, SOURCES: 0})
    assert feature_access.arrow("2022-02-01")["enterprise_id"].to_pylist() == ["E9"]


def test_firms_and_features_asked_for_come_alone(published: Settings) -> None:
    got = feature_access.arrow("2022-02-01", ["E2", "E1", "E2"], ["loan_count", "sales_cny", "loan_count"])
    assert got.to_pylist() == [
        {"as_of": FEBRUARY, "enterprise_id": "E1", "loan_count": 12, "sales_cny": 12.0},
        {"as_of": FEBRUARY, "enterprise_id": "E2", "loan_count": 22, "sales_cny": 22.0},
    ]


def test_each_row_of_a_spine_gets_what_was_built_last_by_its_day(published: Settings) -> None:
    rows = [("E2", date(2022, 1, 31), 1), ("E3", date(2022, 1, 31), 0), ("E3", FEBRUARY, 0), ("E7", FEBRUARY, 0)]
    ids, days, bad = zip(*rows, strict=True)
    spine = pa.table({"enterprise_id": ids, "as_of": pa.array(days, pa.date32()), "is_bad": bad})
    got = feature_access.on_spine(spine, ["loan_count", "sales_cny"])
    assert got.column_names == [*spine.column_names, "features_as_of", "loan_count", "sales_cny"]
    assert [tuple(row.values()) for row in got.to_pylist()] == [
        ("E2", date(2022, 1, 31), 1, JANUARY, 2, 2.0),
        ("E3", FEBRUARY, 0, FEBRUARY, None, 32.0),
    ]
    assert feature_access.on_spine(spine, ["loan_count"])["loan_count"].to_pylist() == [2, None]


def test_what_cannot_be_had_is_named(published: Settings) -> None:
    for arguments, told in (
        (("2022-03-01",), "no features were built for 2022-03-01"),
        (("2022-02-01", ["E1", "E7"]), "no features at 2022-02-01 for E7"),
        (("2022-02-01", [], ["sale_cny"]), "did you mean sales_cny"),
    ):
        with pytest.raises(ConfigError, match=told):
            feature_access.arrow(*arguments)
    with pytest.raises(ConfigError, match=r"silver\.loan is not published"):
        direct.columns("silver.loan", tables.current_manifest())


def test_before_the_first_publication_there_is_nothing(settings: Settings) -> None:
    assert tables.current_manifest() == tables.Manifest(0, None)
    with pytest.raises(ConfigError, match="no published features"):
        feature_access.arrow("2022-02-01")


def test_the_greatest_value_is_that_of_the_rows_also_where_the_log_does_not_tell_it(settings: Settings) -> None:
    place = control.location("numbers")
    assert delta_log.greatest(place, "number") is None and delta_log.version(place) is None
    for numbers in ([3, 9], [4]):
        write_deltalake(place, pa.table({"number": numbers, "other": [[n] for n in numbers]}), mode="append")
    assert (delta_log.least(place, "number"), delta_log.greatest(place, "number")) == (3, 9)
    assert delta_log.version(place) == delta_log.last_write(place)[0] == 1
    write_deltalake(place, pa.table({"number": pa.array([None], pa.int64()), "other": [[1]]}), mode="append")
    assert delta_log.greatest(place, "number") == 9  # of the last file the log tells no greatest
    with pytest.raises(ConfigError, match="there is no table"):
        delta_log.rows(control.location("nowhere"), ["number"])
