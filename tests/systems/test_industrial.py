"""The industrial platform's log, read by a plain Kafka consumer, against the small world's tables."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from running import advance_and_die, listens_on, own_ports, secrets_in
from small_world import write_small_world

from sources.systems import industrial
from sources.systems.clock import world_days
from sources.systems.industrial import broker, publisher
from sources.systems.industrial.topics import TOPICS
from sources.systems.process import Process, port_open, wait_gone

pytestmark = pytest.mark.services
Messages = dict[str, list[tuple[int, str, str]]]
CHINA = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten months: a broker's start and each month's transaction take their time."""
    return write_small_world(tmp_path_factory.mktemp("world"), days=300)


@pytest.fixture
def server(world: Path, tmp_path: Path) -> Iterator[Process]:
    """A broker of its own on free ports; nothing of it may stay."""
    with own_ports("industrial_port", "industrial_controller_port"):
        industrial.load(tmp_path, world)
        (process,) = industrial.processes(tmp_path, world)
        process.start()
        try:
            yield process
        finally:
            running = process.running()
            family = [running, *running.children(recursive=True)] if running else []
            process.stop()
            assert not wait_gone(family, 5)


@pytest.fixture(scope="module")
def at_once(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """All messages of the small world, published in one go."""
    home = tmp_path_factory.mktemp("once")
    with own_ports("industrial_port", "industrial_controller_port"):
        industrial.load(home, world)
        (process,) = industrial.processes(home, world)
        process.start()
        try:
            industrial.advance(home, world, world_days(world)[1])
            return consume()
        finally:
            process.stop()


def consume(isolation: str = "read_committed") -> Messages:
    """Timestamp, key and value of every message by topic, each partition read to its end.

    Committed messages of a partition must be in the order of their time.
    """
    newest: dict[tuple[str, int], int] = {}
    found: Messages = {topic.name: [] for topic in TOPICS}
    settings = {"bootstrap.servers": broker.bootstrap(), "group.id": "test", "enable.auto.commit": False}
    consumer = Consumer(settings | {"isolation.level": isolation, "enable.partition.eof": True})
    parts = [TopicPartition(t.name, number, OFFSET_BEGINNING) for t in TOPICS for number in range(t.partitions)]
    consumer.assign(parts)
    ended = set()  # a partition's end may be told twice
    while len(ended) < len(parts):
        message = consumer.poll(20)
        assert message is not None, "the broker went silent"
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            ended.add((message.topic(), message.partition()))
        else:
            row = (message.timestamp()[1], message.key().decode(), message.value().decode())
            found[message.topic()].append(row)
            part = (message.topic(), message.partition())
            assert isolation != "read_committed" or row[0] >= newest.get(part, 0)
            newest[part] = row[0]
    consumer.close()
    return {topic: sorted(rows) for topic, rows in found.items()}


def distinct(rows: list[tuple[int, str, str]]) -> list[dict]:
    """The events of a topic, each once."""
    return list({event["event_id"]: event for event in (json.loads(value) for *_, value in rows)}.values())


def table_rows(world: Path, name: str) -> list[dict]:
    return pq.read_table(world / f"{name}.parquet").to_pylist()


def test_without_its_duplicates_the_log_is_the_worlds_tables(world: Path, at_once: Messages) -> None:
    last = world_days(world)[1]
    orders = table_rows(world, "trade_order")
    members = {row["firm_id"] for row in table_rows(world, "firm") if row["on_platform"]}
    # Warehouses, and firms with machines or reported production, are members as well.
    members |= {row["firm_id"] for name in ("equipment", "production_day") for row in table_rows(world, name)}
    seen = [o for o in orders if {o["buyer_id"], o["seller_id"]} & members]
    placed = [event for event in distinct(at_once["platform.orders"]) if event["event_type"] == "order_placed"]
    assert_same_but_the_last_days(
        [(o["ordered_on"], o["good"], o["quantity_units"], o["amount_fen"]) for o in seen],
        [(day_of(e), e["good"], e["quantity_units"], e["amount_fen"]) for e in placed],
        last,
    )
    shipped = [event for event in distinct(at_once["platform.logistics"]) if event["event_type"] == "shipped"]
    assert_same_but_the_last_days(
        [
            (d["shipped_on"], d["good"], d["quantity_units"])
            for d in table_rows(world, "delivery")
            if {d["buyer_id"], d["seller_id"]} & members
        ],
        [(day_of(e), e["good"], e["quantity_units"]) for e in shipped],
        last,
    )
    issued = [event for event in distinct(at_once["platform.warehouse-receipts"]) if "lot_code" in event]
    receipts = table_rows(world, "warehouse_receipt")
    assert sorted(r["lot_code"] for r in receipts) == sorted(e["lot_code"] for e in issued)
    assert len(distinct(at_once["platform.machines"])) == len(table_rows(world, "equipment"))


def assert_same_but_the_last_days(expected: list[tuple], got: list[tuple], last: date) -> None:
    """Equal, but for events whose message was still on its way when the world ended."""
    assert len(got) > 20
    missing = list(expected)
    for row in got:
        missing.remove(row)  # fails on a row that the world does not have
    assert all(day > last - timedelta(days=8) for day, *_ in missing), missing


def day_of(event: dict) -> date:
    return date.fromisoformat(event["event_at"][:10])


def test_kafkas_timestamp_is_the_time_of_receipt(world: Path, at_once: Messages) -> None:
    first, last = world_days(world)
    for rows in at_once.values():
        for stamp, _, value in rows:
            assert first <= datetime.fromtimestamp(stamp / 1000, CHINA).date() <= last
            assert json.loads(value)["schema_version"] in (1, 2)


def test_steps_and_a_leap_give_the_same_log(world: Path, server: Process, at_once: Messages) -> None:
    first, last = world_days(world)
    for until in (first, first + timedelta(days=30), first + timedelta(days=200), last, last):
        industrial.advance(server.home, world, until)
    assert consume() == at_once


def test_a_killed_publisher_and_a_broker_killed_after_it_lose_and_double_nothing(
    world: Path, server: Process, at_once: Messages
) -> None:
    last = world_days(world)[1]
    # In the middle of the fifth month: four are published, the fifth is in the log without its end.
    calls = 4 * len(TOPICS) + 5
    advance_and_die("industrial", server.home, world, last, "sources.systems.industrial.publisher._send", calls)
    server.running().kill()
    wait_closed(server.port)
    server.start()
    industrial.advance(server.home, world, last)
    assert consume() == at_once
    assert publisher.published_through() == last
    uncommitted = consume("read_uncommitted")
    for topic, rows in at_once.items():
        assert set(uncommitted[topic]) == set(rows)  # what was aborted came again under the same id
    assert sum(map(len, uncommitted.values())) > sum(map(len, at_once.values()))  # there was something to abort


def wait_closed(port: int) -> None:
    """Waits until a killed program's threads have let go of its port."""
    deadline = time.monotonic() + 20
    while port_open(port) and time.monotonic() < deadline:
        time.sleep(0.1)


def test_nothing_of_the_truth_shows(at_once: Messages) -> None:
    assert all(at_once.values())
    text = "\n".join(f"{key} {value}" for rows in at_once.values() for _, key, value in rows)
    assert secrets_in(text) == set()
    assert "planted" not in text


def test_the_broker_listens_on_loopback_only(server: Process) -> None:
    assert listens_on(server.running()) == {"127.0.0.1"}
    assert server.status() == "up"
