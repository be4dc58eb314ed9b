"""Identity on the engine: from silver to the ledger, a quiet day, a correction, and Splink's other back end."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime

import pytest

from lakehouse import contracts, engine, tables
from lakehouse.settings import PROJECT_DIR, Settings
from spark_jobs.identity import compare, departments, job, ledger, mentions, model
from spark_jobs.identity.corrections import entry
from tests.drops import publish_builds

sys.path.insert(0, str(PROJECT_DIR / "tests" / "unit" / "identity"))
import identity_rows as by_hand

pytestmark = pytest.mark.engine

TRACE = "version_no int, published_at timestamp, known_at timestamp, known_at_is_assumed boolean"
REGISTRY = ("enterprise_key string, uscc string, registration_number string, name string, address string, "
            f"phone string, founded_on date, {TRACE}")  # fmt: skip
METERS = f"account_number string, certificate_number string, name string, address string, phone string, {TRACE}"
BOOK = ("record_id string, enterprise_key string, changed_on date, change_kind string, value_before string, "
        f"value_after string, other_uscc string, {TRACE}")  # fmt: skip
ROAD = "苏州市科技路372号"
ONE, TWO = by_hand.uscc(1), by_hand.uscc(2)
FIRST = (1, datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC), False)


def meter(number: str, name: str, code: str | None = None) -> tuple:
    return (number, code, name, ROAD, None, *FIRST)


METERS_NOW = (meter("G1", "苏州和安仓储有限公司"), meter("G2", "苏州新原钢铁", "320500000000002"))


def build_silver(*meters: tuple) -> None:
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        registry = [
            ("R1", ONE, "320500000000001", "苏州和安仓储有限公司", ROAD, None, date(2010, 1, 1), *FIRST),
            ("R2", TWO, "320500000000002", "苏州鑫源钢铁有限公司", None, None, date(2011, 1, 1), *FIRST),
        ]
        book = [("B1", "R2", date(2024, 2, 1), "merged_into", None, None, ONE, *FIRST)]
        tables.overwrite(spark.createDataFrame(registry, REGISTRY), "silver.registered_enterprise")
        tables.overwrite(spark.createDataFrame(list(meters), METERS), "silver.gas_account")
        tables.overwrite(spark.createDataFrame(book, BOOK), "silver.registry_change")


def publish(partition: str) -> None:
    with engine.session() as spark:
        publish_builds(spark, "silver", partition)


def keys() -> dict[str, str]:
    with engine.session() as spark:
        rows = tables.read(spark, "silver.enterprise_key").where("department = 'gas'").orderBy("version_no").collect()
        return {row["key"]: row["enterprise_id"] for row in rows}


def test_from_silver_to_links_and_on(lakehouse: Settings) -> None:
    build_silver(*METERS_NOW)
    first = job.build("2024-01-05")
    assert (first["new_mentions"], first["silver.enterprise_key"]) == (4, 4)
    publish("2024-01-05")
    assert keys() == {"G1": ONE, "G2": ONE}  # the second's firm was merged into the first's, and meters pass on

    assert job.build("2024-01-06") == {}

    build_silver(
        meter("G1", "苏州和安仓储有限公司"), meter("G2", "苏州新原钢铁", "320500000000002"), meter("G3", "和安倉儲")
    )
    with engine.session() as spark:
        said = entry("gas", "gas", "G1", TWO, "li", "seen on site", datetime(2024, 1, 6))
        job.correct(said)
        job.correct(said)
        assert job.corrections().num_rows == 1
    later = job.build("2024-01-07")
    assert later["new_mentions"] == 1
    publish("2024-01-07")
    assert keys() == {"G1": ONE, "G2": ONE, "G3": ONE}  # what was said of G1 is of the merged firm

    with engine.session() as spark:
        by_day = {name: tables.read(spark, name).toArrow() for name in ("silver.identity_link", "silver.identity_pair")}
        known = contracts.load_all(lakehouse.contracts_dir)
        told = job.arrow(departments.rows(spark, known), mentions.ROWS)
        book = job.arrow(departments.changes(spark, known), mentions.CHANGES)
    at_once = ledger.build(told, book, said)
    for table, part in (("silver.identity_link", at_once.link), ("silver.identity_pair", at_once.pair)):
        assert sorted(map(repr, job.naive(by_day[table]).to_pylist())) == sorted(map(repr, part.to_pylist()))


def test_splink_gives_the_same_on_the_engine(spark) -> None:
    from splink import SparkAPI

    told = by_hand.rows(
        by_hand.registered(1, "苏州和安仓储有限公司", address="苏州市科技路372号", phone="13800000001"),
        by_hand.row("gas", "G1", "蘇州和安倉儲"),
        by_hand.row("gas", "G2", "苏州何安仓储有限公司", phone="13800000001"),
        by_hand.row("gas", "G3", "和安仓储", address="苏州市科技路372号"),
        by_hand.row("gas", "G4", "苏州全安仓储", address="苏州市科技路372号", phone="13800000001"),
        by_hand.row("gas", "G5", "宁波永达食品有限公司"),
    )
    profiles = compare.roles(mentions.of_rows(told))
    api = SparkAPI(spark_session=spark, break_lineage_method="persist", register_udfs_automatically=False)
    on_spark, on_duckdb = compare.new_pairs(profiles, api=api), compare.new_pairs(profiles)
    assert on_spark.compared == on_duckdb.compared > 10

    def listed(found: compare.Compared) -> dict:
        return {
            (p["left_id"], p["right_id"]): (round(p["weight"], 6), p["gamma_name"]) for p in found.pairs.to_pylist()
        }

    assert listed(on_spark) == listed(on_duckdb)
    assert {g for _, g in listed(on_spark).values()} >= {model.GAMMA_STRONG, 7}
    assert ledger.build(told).compared == on_duckdb.compared
