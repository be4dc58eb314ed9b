"""Pulls from Kafka: every committed message once, up to a midnight, by offsets that the lakehouse holds itself."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from lakehouse.errors import SourceError, SourceUnavailable
from sources.systems import industrial
from sources.systems.clock import world_days
from sources.systems.industrial import broker
from sources.systems.process import Process
from spark_jobs.pull.stream import CONNECTOR
from tests.connectors.feed_contracts import contract_document, make_place, write_contract
from tests.connectors.kill_runs import Place, kill_and_finish, landed_rows, run_all
from tests.connectors.receiving import Received
from tests.systems.running import own_ports
from tests.systems.small_world import write_small_world

pytestmark = pytest.mark.services
CHINA = timezone(timedelta(hours=8))
READINGS = "platform.equipment-readings"
COLUMNS = ("event_id", "schema_version", "event_type", "machine_id", "sequence", "_offset", "_partition")
FIRST = date(2019, 1, 1)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A broker with a month of the small world, in which the machines' schema changes."""
    home, world = tmp_path_factory.mktemp("platform"), write_small_world(tmp_path_factory.mktemp("world"), days=30)
    with own_ports("industrial_port", "industrial_controller_port"):
        industrial.load(home, world)
        (process,) = industrial.processes(home, world)
        process.start()
        try:
            industrial.advance(home, world, world_days(world)[1])
            yield process
        finally:
            process.stop()


def received(folder: Path, topic: str, columns: tuple = COLUMNS, **options: Any) -> Received:
    feed = {"connection": "platform", "protocol": "stream", "path": topic, "options": options}
    contract = write_contract(folder / "contracts", contract_document("platform__made", columns, feed))
    return Received(CONNECTOR, contract, {"bootstrap": broker.bootstrap()}, folder / "spool")


def committed(topic: str, isolation: str = "read_committed") -> list[tuple[int, int, int, bytes | None]]:
    """(partition, offset, time, value) of every message of a topic, by an ordinary consumer."""
    settings = {"group.id": "oracle", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(broker.client() | settings | {"isolation.level": isolation})
    parts = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in parts])
    found, ended = [], set()  # a partition's end may be told twice
    while len(ended) < len(parts):
        message = consumer.poll(20)
        assert message is not None, "the broker went silent"
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            ended.add(message.partition())
        else:
            found.append((message.partition(), message.offset(), message.timestamp()[1], message.value()))
    consumer.close()
    return sorted(found)


def before(messages: list[tuple], day: date) -> list[tuple]:
    moment = datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp() * 1000
    return [message for message in messages if message[2] < moment]


def place_of(rows: list[dict]) -> list[tuple[int, int]]:
    return sorted((row["_partition"], row["_offset"]) for row in rows)


@pytest.fixture
def topic(platform: Process) -> str:
    """A topic of the test's own with one partition."""
    name = f"test.{next(_numbers)}"
    create(name)
    return name


@lru_cache
def admin_at(address: str) -> AdminClient:
    return AdminClient(broker.client())


def admin() -> AdminClient:
    """One client for the whole module: what it was asked for dies with it."""
    return admin_at(broker.bootstrap())


def create(name: str, partitions: int = 1) -> None:
    admin().create_topics([NewTopic(name, partitions, 1)])[name].result(20)


def send(topic: str, *values: Any, day: date = FIRST, partition: int = 0, transaction: str | None = None) -> None:
    """Sends messages received at noon of a day; JSON unless bytes are given."""
    moment = int(datetime(day.year, day.month, day.day, 12, tzinfo=CHINA).timestamp() * 1000)
    more = {"transactional.id": f"{topic}-{next(_numbers)}"} if transaction else {}
    producer = Producer(broker.client() | more)
    if transaction:
        producer.init_transactions(20)
        producer.begin_transaction()
    for value in values:
        sent = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        producer.produce(topic, sent, timestamp=moment, partition=partition)
    producer.flush(20)
    if transaction == "commit":
        producer.commit_transaction(20)
    elif transaction == "abort":
        producer.abort_transaction(20)


def test_every_committed_message_comes_once_and_none_before_its_day(platform: Process, tmp_path: Path) -> None:
    log = committed(READINGS)
    pulled = received(tmp_path, READINGS, messages=50)
    for days in (0, 1, 2, 10, 18, 19, 20, 31):
        until = FIRST + timedelta(days=days)
        pulled.pull(until, stop_after=1 if days % 2 else None)
        pulled.pull(until)
        assert place_of(pulled.rows()) == [message[:2] for message in before(log, until)]
    assert len(log) > 200
    assert {part.schema_version for part in pulled.parts} == {1, 2}
    ours = ("_key", "_partition", "_offset", "_received_at")
    sent = {(p, o): json.loads(value) for p, o, _, value in log}
    for row in pulled.rows():
        body = {name: value for name, value in row.items() if name not in ours}
        assert body == sent[row["_partition"], row["_offset"]]
        assert row["_key"] == row["machine_id"]


def test_a_part_holds_one_schema_version_and_interruptions_change_no_byte(platform: Process, tmp_path: Path) -> None:
    name, chance = f"test.{next(_numbers)}", random.Random(2)
    create(name, 3)
    for number in range(12):
        sent = [{"id": 100 * number + k, "schema_version": chance.choice([1, 1, 2])} for k in range(50)]
        send(name, *sent, partition=number % 3, transaction="commit" if number % 2 else None)
    whole = received(tmp_path / "a", name, ("id",), messages=70)
    until = FIRST + timedelta(days=1)
    whole.pull(until)
    assert [part.schema_version for part in whole.parts] == [1, 2] * (len(whole.parts) // 2)
    assert all(row["schema_version"] == part.schema_version for part, rows in by_part(whole) for row in rows)
    broken = received(tmp_path / "b", name, ("id",), messages=70)
    while broken.pull(until, stop_after=1):
        pass
    assert broken.bodies == whole.bodies
    assert place_of(whole.rows()) == [message[:2] for message in committed(name)]
    assert [part.name for part in broken.parts] == [part.name for part in whole.parts]
    assert len({part.name for part in whole.parts}) == len(whole.parts)


def by_part(pulled: Received) -> Iterator[tuple[Any, list[dict]]]:
    rows = pulled.rows()
    for part in pulled.parts:
        yield part, rows[: part.records]
        rows = rows[part.records :]


def test_marks_of_transactions_are_no_loss_and_what_was_undone_is_not_read(topic: str, tmp_path: Path) -> None:
    pulled = received(tmp_path, topic, ("id",))
    send(topic, {"id": 1}, {"id": 2}, transaction="commit")
    send(topic, {"id": 3}, transaction="abort")
    send(topic, {"id": 4}, transaction="commit")
    pulled.pull(FIRST + timedelta(days=1))
    assert [row["id"] for row in pulled.rows()] == [1, 2, 4]
    assert pulled.pull(FIRST + timedelta(days=1)) == []
    send(topic, {"id": 5}, transaction="commit", day=FIRST + timedelta(days=1))
    send(topic, {"id": 6}, transaction="abort", day=FIRST + timedelta(days=1))
    assert pulled.pull(FIRST + timedelta(days=1)) == []
    pulled.pull(FIRST + timedelta(days=2))
    assert [row["id"] for row in pulled.rows()] == [1, 2, 4, 5]
    offsets = [row["_offset"] for row in pulled.rows()]
    assert offsets != list(range(len(offsets)))


def test_an_open_transaction_is_waited_for_without_losing_what_comes_after(topic: str, tmp_path: Path) -> None:
    pulled = received(tmp_path, topic, ("id",))
    producer = Producer(broker.client() | {"transactional.id": f"{topic}-open"})
    producer.init_transactions(20)
    send(topic, {"id": 1})
    producer.begin_transaction()
    moment = int(datetime(2019, 1, 1, 13, tzinfo=CHINA).timestamp() * 1000)
    producer.produce(topic, b'{"id": 2}', timestamp=moment, partition=0)
    producer.flush(20)
    send(topic, {"id": 3})
    pulled.pull(FIRST + timedelta(days=1))
    assert [row["id"] for row in pulled.rows()] == [1]
    producer.commit_transaction(20)
    pulled.pull(FIRST + timedelta(days=1))
    assert [row["id"] for row in pulled.rows()] == [1, 2, 3]


def test_garbage_and_giants_are_kept_and_the_feed_goes_on(topic: str, tmp_path: Path) -> None:
    chance = random.Random(5)
    garbage = [chance.randbytes(chance.randint(0, 300)) for _ in range(200)]
    giant = {"id": "x" * 990_000}
    send(topic, {"id": "first"}, *garbage, None, giant, b"{" * 50_000, {"id": "last"})
    pulled = received(tmp_path, topic, ("id",), megabytes=1)
    pulled.pull(FIRST + timedelta(days=1))
    rows = pulled.rows()
    assert [row["_offset"] for row in rows] == list(range(205))
    assert [row["id"] for row in rows if "id" in row] == ["first", giant["id"], "last"]
    assert len(pulled.parts) == 2, "a slice is full by bytes as well"
    assert all(part.fields in (("id",), ()) for part in pulled.parts)


def test_wild_schema_versions_open_few_files(topic: str, tmp_path: Path) -> None:
    send(topic, *({"id": k, "schema_version": 1 + k} for k in range(100)))
    pulled = received(tmp_path, topic, ("id",))
    while pulled.pull(FIRST + timedelta(days=1), stop_after=7):
        pass
    assert sorted(row["id"] for row in pulled.rows()) == list(range(100))
    assert [part.schema_version for part in pulled.parts] == list(range(1, 101))


def test_a_time_that_cannot_be_holds_nothing_up(topic: str, tmp_path: Path) -> None:
    send(topic, {"id": 1}, day=FIRST + timedelta(days=1))
    send(topic, {"id": 2}, day=date(2099, 1, 1))
    send(topic, {"id": 3})
    pulled = received(tmp_path, topic, ("id",))
    pulled.pull(FIRST + timedelta(days=1))
    assert pulled.rows() == []
    pulled.pull(FIRST + timedelta(days=2))
    assert [row["id"] for row in pulled.rows()] == [1, 2, 3]


def test_messages_that_the_broker_deleted_stop_the_feed_until_a_person_states_the_loss(
    topic: str, tmp_path: Path
) -> None:
    pulled = received(tmp_path, topic, ("id",))
    send(topic, {"id": 0}, {"id": 1})
    pulled.pull(FIRST + timedelta(days=1))
    send(topic, *({"id": k} for k in range(2, 9)))
    delete_before(topic, 6)
    with pytest.raises(SourceError, match="deleted offsets 2 to 5") as caught:
        pulled.pull(FIRST + timedelta(days=1))
    assert not caught.value.is_transient
    assert "resumeAt: {0: 6}" in caught.value.remedy
    pulled.pull(FIRST + timedelta(days=1), resumeAt={0: 6})
    assert [row["id"] for row in pulled.rows()] == [0, 1, 6, 7, 8]


def test_the_first_pull_begins_with_what_the_broker_still_has(topic: str, tmp_path: Path) -> None:
    send(topic, *({"id": k} for k in range(5)))
    delete_before(topic, 3)
    pulled = received(tmp_path, topic, ("id",))
    pulled.pull(FIRST + timedelta(days=1))
    assert [row["id"] for row in pulled.rows()] == [3, 4]


def delete_before(topic: str, offset: int) -> None:
    """What retention does, at once."""
    deleted = admin().delete_records([TopicPartition(topic, 0, offset)])
    for answer in deleted.values():
        assert answer.result(20).low_watermark == offset


def test_a_partition_that_was_added_is_read_from_its_first_message(topic: str, tmp_path: Path) -> None:
    pulled = received(tmp_path, topic, ("id",))
    send(topic, {"id": 1})
    pulled.pull(FIRST + timedelta(days=1))
    admin().create_partitions([NewPartitions(topic, 3)])[topic].result(20)
    send(topic, {"id": 2}, partition=2)
    send(topic, {"id": 3}, partition=0)
    pulled.pull(FIRST + timedelta(days=1))
    assert sorted(row["id"] for row in pulled.rows()) == [1, 2, 3]


def test_a_topic_made_anew_is_not_the_one_that_was_read(topic: str, tmp_path: Path) -> None:
    pulled = received(tmp_path, topic, ("id",))
    send(topic, {"id": 1})
    pulled.pull(FIRST + timedelta(days=1))
    admin().delete_topics([topic])[topic].result(20)
    for _ in range(50):
        if topic not in admin().list_topics(timeout=10).topics:
            break
        time.sleep(0.1)
    create(topic)
    send(topic, {"id": 2}, {"id": 3}, {"id": 4})
    with pytest.raises(SourceError, match="not the log that was pulled before"):
        pulled.pull(FIRST + timedelta(days=1))


def test_a_missing_topic_is_refused_and_a_broker_away_may_come_back(platform: Process, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as missing:
        received(tmp_path, "platform.nothing").pull(FIRST)
    assert not missing.value.is_transient
    assert "platform.nothing" in str(missing.value)
    assert "platform.nothing" not in admin().list_topics(timeout=10).topics
    away = received(tmp_path, READINGS, silenceSeconds=2)
    away.connection.settings["bootstrap"] = "127.0.0.1:1"
    with pytest.raises(SourceUnavailable):
        away.pull(FIRST)


def test_nothing_of_where_we_stand_is_kept_at_the_broker(platform: Process, tmp_path: Path) -> None:
    received(tmp_path, READINGS).pull(FIRST + timedelta(days=30))
    groups = admin().list_consumer_groups().result(20).valid
    assert "vinelake" not in {group.group_id for group in groups}


PULLS = [(str(FIRST + timedelta(days=days)), "platform") for days in (12, 20)]


def killed_pulls_land_what_undisturbed_ones_do(folder: Path, kills: int, seed: int) -> int:
    """Pulls twice, undisturbed and with kills, and compares the rows of both feeds; returns the number of kills."""
    documents = [
        contract_document(
            contract,
            COLUMNS,
            {"connection": "platform", "protocol": "stream", "path": path, "options": {"messages": 40}},
        )
        for contract, path in (("platform__reading", READINGS), ("platform__order", "platform.orders"))
    ]
    address = {"platform": {"bootstrap": broker.bootstrap()}}
    calm, killed = (make_place(folder, documents, address, name) for name in ("calm", "killed"))
    undisturbed = run_all(calm, PULLS)
    done = kill_and_finish(killed, PULLS, undisturbed, kills, seed)
    assert_same(calm, killed)
    return done


def assert_same(calm: Place, killed: Place) -> None:
    for contract in ("platform__reading", "platform__order"):
        rows = landed_rows(calm, contract)
        assert rows
        assert landed_rows(killed, contract) == rows


def test_kills_leave_the_same_rows(platform: Process, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(tmp_path, kills=3, seed=4) > 0


def test_a_broker_that_stops_in_between_is_away_and_the_pull_goes_on_after_it(
    platform: Process, tmp_path: Path
) -> None:
    until = FIRST + timedelta(days=31)
    pulled = received(tmp_path, READINGS, messages=100, silenceSeconds=4)
    pulled.pull(until, stop_after=1)
    platform.stop()
    try:
        with pytest.raises(SourceUnavailable):
            pulled.pull(until)
    finally:
        platform.start()
    for _ in range(20):  # it may still be taking its partitions over
        try:
            pulled.pull(until)
            break
        except SourceUnavailable:
            time.sleep(1)
    assert place_of(pulled.rows()) == [message[:2] for message in committed(READINGS)]
