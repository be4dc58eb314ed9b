"""Tables: published whole in one row or not at all, whatever comes late, races, or loses the catalog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakehouse import control, engine, tables
from lakehouse.settings import Settings

pytestmark = pytest.mark.engine
LOAN, FIRM = "silver.loan", "silver.enterprise"


@pytest.fixture
def spark(lakehouse: Settings) -> Iterator:
    with engine.session() as session:
        tables.ensure_schemas(session)
        yield session


def rows(spark, *values: tuple[int, str]):
    return spark.createDataFrame(list(values), "id int, word string")


def build(spark, table: str, *values: tuple[int, str]) -> int:
    tables.begin_build(spark, table)
    tables.overwrite(rows(spark, *values), table)
    return tables.build_version(table)


def seen(spark, table: str) -> list[tuple[int, str]]:
    return sorted(tuple(r) for r in tables.read(spark, table).collect())


def manifests(spark) -> int:
    schema = tables.get_settings().schema_name("control")
    return spark.sql(f"SELECT * FROM {schema}.manifest").count()


def lose_catalog(spark, settings: Settings, aside: Path) -> None:
    """Drops every schema of the lakehouse; the files are put aside meanwhile, since they would go with it."""
    layers = [settings.schema_name(layer) for layer in tables.LAYERS]
    for schema in [*layers, *(f"{layer}_build" for layer in layers)]:
        folder = settings.warehouse_dir / schema
        if folder.exists():
            folder.rename(aside / schema)
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        if (aside / schema).exists():
            (aside / schema).rename(folder)


def test_readers_see_what_was_published_and_nothing_else(spark, lakehouse: Settings, tmp_path: Path) -> None:
    first = {t: build(spark, t, (1, "a")) for t in (LOAN, FIRM)}
    assert not tables.is_published(spark, LOAN)
    tables.publish(spark, first, "test", "2020-03-01")
    assert (manifests(spark), seen(spark, LOAN), seen(spark, FIRM)) == (1, [(1, "a")], [(1, "a")])

    # An audit that fails publishes nothing; the next build starts from what is published.
    build(spark, LOAN, (1, "bad"), (2, "bad"))
    assert seen(spark, LOAN) == [(1, "a")]
    assert tables.begin_build(spark, LOAN) == first[LOAN]
    assert [tuple(r) for r in spark.table(tables.build_name(LOAN)).collect()] == [(1, "a")]

    # A killed client's commit arrives after its table was published again: readers do not see it, builds shed it.
    version = build(spark, LOAN, (1, "b"))
    tables.publish(spark, {LOAN: version}, "test", "2020-04-01")
    rows(spark, (9, "late")).write.format("delta").mode("append").saveAsTable(tables.build_name(LOAN))
    assert seen(spark, LOAN) == [(1, "b")]
    tables.begin_build(spark, LOAN)
    assert spark.table(tables.build_name(LOAN)).count() == 1
    tables.replace_where(rows(spark, (2, "c")), LOAN, "id = 2")
    tables.publish(spark, {LOAN: tables.build_version(LOAN)}, "test", "2020-05-01")
    assert seen(spark, LOAN) == [(1, "b"), (2, "c")]
    assert manifests(spark) == 3

    # The same again is no publication, and moves a view back that a dying publisher left behind.
    spark.sql(f"CREATE OR REPLACE VIEW {tables.published_name(LOAN)} AS SELECT 0 AS id, 'x' AS word")
    now = tables.current_manifest()
    assert tables.publish(spark, {LOAN: now.versions[LOAN]}, "test", "2020-05-01").manifest_id == 3
    assert (manifests(spark), seen(spark, LOAN)) == (3, [(1, "b"), (2, "c")])

    # The catalog is lost; files and manifest are enough to have it all again.
    published = {t: tables.content_hash(tables.read(spark, t)) for t in (LOAN, FIRM)}
    lose_catalog(spark, lakehouse, tmp_path)
    assert not tables.is_published(spark, LOAN)
    with engine.session() as later:
        assert tables.current_manifest() == now
        assert {t: tables.content_hash(tables.read(later, t)) for t in (LOAN, FIRM)} == published


def test_sessions_that_find_no_catalog_at_once_all_read(spark, lakehouse: Settings, tmp_path: Path) -> None:
    tables.publish(spark, {t: build(spark, t, (1, "a")) for t in (LOAN, FIRM)}, "test", "2020-03-01")
    lose_catalog(spark, lakehouse, tmp_path)

    def look(table: str) -> list[tuple[int, str]]:
        with engine.session() as session:
            return seen(session, table)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, [LOAN, FIRM, LOAN, FIRM])) == [[(1, "a")]] * 4


def test_replacing_a_slice_again_gives_the_same_table(spark) -> None:
    build(spark, LOAN, (1, "a"), (2, "a"))
    for _ in range(2):
        tables.replace_where(rows(spark, (2, "b"), (2, "c")), LOAN, "id = 2")
        found = sorted(tuple(r) for r in spark.table(tables.build_name(LOAN)).collect())
        assert found == [(1, "a"), (2, "b"), (2, "c")]
    with pytest.raises(Exception, match=r"(?i)replace ?where"):
        tables.replace_where(rows(spark, (3, "x")), LOAN, "id = 2")


def test_a_build_that_was_never_published_is_begun_empty(spark) -> None:
    build(spark, LOAN, (1, "a"))
    assert tables.begin_build(spark, LOAN) is None
    assert spark.table(tables.build_name(LOAN)).count() == 0
    assert tables.begin_build(spark, FIRM) is None


def test_a_build_whose_name_the_catalog_was_never_told_is_begun_and_written(spark) -> None:
    # As a kill between the first commit and the catalog leaves it.
    rows(spark, (1, "killed")).write.format("delta").save(tables.build_location(LOAN))
    assert not spark.catalog.tableExists(tables.build_name(LOAN))
    assert tables.begin_build(spark, LOAN) is None
    assert spark.table(tables.build_name(LOAN)).count() == 0

    rows(spark, (1, "late")).write.format("delta").save(tables.build_location(FIRM))
    tables.replace_where(rows(spark, (1, "new")), FIRM, "id = 1")
    assert [tuple(r) for r in spark.table(tables.build_name(FIRM)).collect()] == [(1, "new")]


def test_two_publishers_at_once_both_survive(spark, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {t: build(spark, t, (1, "a")) for t in (LOAN, FIRM)}
    meet, current = threading.Barrier(2, timeout=120), tables.current_manifest
    first_reads = iter((True, True))

    def together(*arguments, **named):
        found = current(*arguments, **named)
        if next(first_reads, False):
            meet.wait()  # both have read the same manifest before either writes
        return found

    monkeypatch.setattr(tables, "current_manifest", together)
    failures: list[BaseException] = []

    def publish(table: str) -> None:
        try:
            with engine.session(f"publisher_{table}") as own:
                tables.publish(own, {table: versions[table]}, table, "2020-03-01")
        except BaseException as error:
            failures.append(error)

    rivals = [threading.Thread(target=publish, args=(table,)) for table in versions]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(300)
    assert failures == []
    assert dict(tables.current_manifest().versions) == versions
    assert manifests(spark) == 2


def test_the_same_publication_by_many_at_once_leaves_no_moment_without_the_table(spark) -> None:
    version = build(spark, LOAN, (1, "a"))
    tables.publish(spark, {LOAN: version}, "test", "2020-03-01")
    together = threading.Barrier(4, timeout=120)

    def publish(number: int) -> None:
        with engine.session() as own:
            for _ in range(5):
                together.wait()
                tables.publish(own, {LOAN: version}, f"again_{number}", "2020-03-01")
                assert seen(own, LOAN) == [(1, "a")]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))


def test_jobs_that_make_the_same_ledger_at_once_all_go_on(spark) -> None:
    start, failed = threading.Barrier(4), []

    def work(number: int) -> None:
        for ledger in range(4):
            start.wait(60)
            try:
                control.append(f"race_{ledger}", "number int", [(number,)])
            except Exception as error:  # told below, in the test's own thread
                failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for ledger in range(4):
        name = tables.ensure_control_table(spark, f"race_{ledger}", "number int")
        assert sorted(row[0] for row in spark.table(name).collect()) == [0, 1, 2, 3]


def test_the_content_hash_knows_rows_but_not_their_order(spark) -> None:
    def hashed(*values: tuple[int | None, str | None]) -> str:
        return tables.content_hash(rows(spark, *values))

    one = hashed((1, "a"), (2, "b"), (2, "b"))
    assert hashed((2, "b"), (1, "a"), (2, "b")) == one
    assert tables.content_hash(rows(spark, (2, "b"), (1, "a"), (2, "b")).repartition(3)) == one
    assert tables.content_hash(rows(spark, (1, "a"), (2, "b"), (2, "b")).select("word", "id")) == one
    others = [
        hashed((1, "a"), (2, "b")),
        hashed((1, "a"), (1, "a"), (2, "b")),
        hashed((1, "a"), (2, "b"), (2, "c")),
        hashed((1, None), (2, "b"), (2, "b")),
        hashed((None, "1"), (2, "b"), (2, "b")),
        hashed((1, "a"), (2, "b"), (2, "b"), (1, "a"), (1, "a")),
    ]
    assert len({one, *others}) == 1 + len(others)
