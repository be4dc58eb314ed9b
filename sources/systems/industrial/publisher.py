"""Publishes the platform's messages up to a day, exactly once.

Each span of days is one Kafka transaction that holds the messages of all topics and the note of progress. A publisher
that dies leaves an open transaction, which the next one aborts: readers of committed messages see every message once,
readers of uncommitted ones may meet it again under the same `event_id`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from sources.systems.errors import SourcesError
from sources.systems.industrial import broker
from sources.systems.industrial.topics import TOPICS, arrivals, prepare
from sources.systems.projection import first_day, open_world, windows

PROGRESS = "loading-progress"
LOCAL_TIME_MS = 8 * 3600 * 1000  # the world's clock shows UTC+8, Kafka counts from UTC's epoch
BATCH = 20_000


def advance(home: Path, world: Path, until: dt.date) -> None:
    """Publishes every day that is missing up to and including `until`; does nothing where there is none."""
    create_topics()
    producer = Producer(
        broker.client(
            transactional_id="vinelake-industrial",
            transaction_timeout_ms=600_000,
            partitioner="murmur2_random",
            compression_type="lz4",
            linger_ms=20,
            batch_size=500_000,
            queue_buffering_max_messages=4 * BATCH,
        )
    )
    try:
        producer.init_transactions(60)
        behind = list(windows(published_through(), first_day(world), until))
        if not behind:
            return
        source = open_world(world)
        prepare(source, world)
        for first, last in behind:
            producer.begin_transaction()
            for topic in TOPICS:
                _send(producer, source, topic.name, arrivals(topic, world, first, last))
            producer.produce(PROGRESS, key="published", value=str(last))
            producer.commit_transaction(120)
    except KafkaException as error:
        raise SourcesError(f"the broker does not take messages: {error}", where=broker.bootstrap()) from error


def create_topics() -> None:
    """Creates the topics that are missing."""
    admin = AdminClient(broker.client())
    present = admin.list_topics(timeout=30).topics
    wanted = [NewTopic(topic.name, topic.partitions, 1) for topic in TOPICS]
    wanted.append(NewTopic(PROGRESS, 1, 1, config={"cleanup.policy": "compact"}))
    missing = [topic for topic in wanted if topic.topic not in present]
    for made in admin.create_topics(missing).values() if missing else ():
        made.result(30)


def published_through() -> dt.date | None:
    """The last day that has been published completely."""
    consumer = Consumer(
        broker.client(group_id="loading", isolation_level="read_committed", enable_partition_eof=True)
        | {"enable.auto.commit": False}
    )
    found = None
    try:
        consumer.assign([TopicPartition(PROGRESS, 0, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(30)
            if message is None:
                raise SourcesError("the note of progress cannot be read", where=broker.bootstrap())
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    return found
                raise KafkaException(message.error())
            found = dt.date.fromisoformat(message.value().decode())
    finally:
        consumer.close()


def _send(producer: Producer, source: duckdb.DuckDBPyConnection, topic: str, query: str) -> None:
    timed = f"select epoch_ms(received_at) - {LOCAL_TIME_MS} as ms, key, value from ({query})"
    for batch in source.sql(timed).to_arrow_reader(BATCH):
        columns = [column.to_pylist() for column in batch.columns]
        for moment, key, value in zip(*columns, strict=True):
            producer.produce(topic, value, key, timestamp=moment)
        producer.poll(0)
        while len(producer) > 2 * BATCH:
            producer.poll(0.1)
