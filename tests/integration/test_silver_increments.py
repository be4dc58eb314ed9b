"""Silver builds only what has new input, and a merge of new batches gives the table that a whole build would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from lakehouse import contracts, engine, tables
from lakehouse.settings import Settings, get_settings
from spark_jobs import silver, silver_merge, silver_plan, silver_versions
from spark_jobs.landing import slice_of

pytestmark = pytest.mark.engine

USAGE, BRONZE, SILVER = "electricity__daily_usage", "bronze.electricity__daily_usage", "silver.electricity_daily_usage"
TRACE = (
    "record_key string, record_hash string, disposition string, known_at timestamp, known_at_is_assumed boolean, "
    "received_on date, batch_id string, batch_sequence bigint, source_file string, row_number bigint"
)
FILES = {"silver.vat_invoice", "silver.enterprise", "silver.loan", "silver.credit_record"}


def receive(batch: int, readings: list[tuple[str, int, int, str]], gone: bool = False) -> None:
    """Publishes a batch of meter readings (account, day of January, revision, kWh); with `gone`, takes it out again."""
    contract = contracts.load_all(get_settings().contracts_dir)[USAGE]
    columns = ", ".join(f"{c.name} {c.spark_type}" for c in contract.columns)
    day, rows = date(2019, 2, 1) + timedelta(days=batch), []
    for n, (account, used_on, revision, kwh) in enumerate(readings):
        said = {"record_id": f"{account}{used_on}", "revision": revision, "account_number": account,
                "published_at": datetime(2019, 1, used_on, 6) + timedelta(days=revision),
                "used_on": date(2019, 1, used_on), "energy_kwh": Decimal(kwh)}  # fmt: skip
        midnight = datetime.combine(day, datetime.min.time())
        place = ("k", repr(said), "accepted", midnight, False, day, f"batch{batch}", batch, "f", n)
        rows.append((*(said.get(c.name) for c in contract.columns), *place))
    with engine.session("receive") as spark:
        tables.ensure_schemas(spark)
        frame = spark.createDataFrame(rows, f"{columns}, {TRACE}")
        tables.replace_where(frame.where(f"not {gone}"), BRONZE, slice_of([batch]))
        tables.publish(spark, {BRONZE: tables.build_version(BRONZE)}, "test", "2019-02-01")


def build() -> dict[str, int]:
    """Builds silver and publishes what was built, as the gate would; returns rows by table."""
    made = silver.build("2019-02-01")
    with engine.session("publish") as spark:
        named = [t for t in made if t.startswith("silver.")]
        tables.publish(spark, {t: tables.build_version(t) for t in named}, "test", "2019-02-01")
    return made


def equals_a_whole_build() -> bool:
    with engine.session() as spark:
        contract = contracts.load_all(get_settings().contracts_dir)[USAGE]
        whole = silver_versions.of_contract(silver_plan.accepted_rows(spark, contract), contract)
        return tables.content_hash(whole) == tables.content_hash(tables.read(spark, SILVER))


@pytest.fixture
def merging(lakehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Small tables are merged too; the batches that were merged."""
    merged: list[int] = []

    def noted(accepted: object, contract: object, batches: list[int]) -> None:
        merged.extend(batches)
        merge(accepted, contract, batches)

    merge = silver_merge.merge
    monkeypatch.setattr(silver_merge, "LEAST_ROWS", 0)
    monkeypatch.setattr(silver_merge, "LARGEST_SHARE", 1.0)
    monkeypatch.setattr(silver_merge, "merge", noted)
    return merged


def test_only_new_input_is_built_and_a_merge_is_a_whole_build(merging: list[int]) -> None:
    receive(1, [("A", 1, 1, "10"), ("A", 2, 1, "11"), ("B", 1, 2, "20")])
    assert build() == {SILVER: 3, **dict.fromkeys(FILES, 0)}
    with engine.session() as spark:
        heads = {t: tables.build_version(t) for t in (SILVER, *FILES)}
    assert build() == {}
    with engine.session() as spark:
        assert {t: tables.build_version(t) for t in heads} == heads

    # an earlier revision that came late, a later one, a repetition, and a record never heard of
    receive(2, [("B", 1, 1, "25"), ("A", 2, 2, "111"), ("A", 1, 1, "10"), ("C", 5, 1, "30")])
    assert build() == {SILVER: 6}
    assert merging == [2] and equals_a_whole_build()
    with engine.session() as spark:
        found = tables.read(spark, SILVER).where("account_number = 'B'").orderBy("version_no").collect()
        assert [(r["version_no"], int(r["energy_kwh"]), r["batch_sequence"]) for r in found] == [(1, 25, 2), (2, 20, 1)]


def test_a_merge_begins_at_what_is_published(merging: list[int]) -> None:
    receive(1, [("A", 1, 1, "10"), ("B", 1, 1, "20")])
    build()
    receive(2, [("A", 1, 2, "12")])
    silver.build("2019-02-01")  # never published: the client was killed before the gate
    with engine.session("stray") as spark:
        spark.sql(f"DELETE FROM {tables.build_name(SILVER)} WHERE account_number = 'B'")  # and its orphan wrote on
    assert build() == {SILVER: 3}
    assert merging == [2, 2] and equals_a_whole_build()


def test_a_batch_that_went_makes_the_table_anew(merging: list[int]) -> None:
    receive(1, [("A", 1, 1, "10")])
    receive(2, [("A", 1, 2, "12"), ("B", 1, 1, "20")])
    build()
    receive(2, [("A", 1, 2, "12")], gone=True)
    assert build() == {SILVER: 1}
    assert merging == [] and equals_a_whole_build()
