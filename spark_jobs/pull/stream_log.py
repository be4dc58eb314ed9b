"""A topic's log at a Kafka broker: where its partitions begin and end for a pull, and the messages in between."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from lakehouse.connections import Connection
from lakehouse.errors import SourceError, SourceUnavailable

ANSWER_SECONDS = 15.0
FUTURE_MS = 86_400_000
# Answers that another try cannot change.
LASTING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._INVALID_ARG,
}
READING = {
    "group.id": "vinelake",  # the client wants a name; with assigned partitions no group is joined
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
    "check.crcs": True,
    "fetch.wait.max.ms": 20,  # at its end a partition is said to have ended; there is nothing to wait for
    "queued.max.messages.kbytes": 8_192,
    "fetch.message.max.bytes": 1_048_576,  # a larger message comes by itself
}
LOST = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}


class Log:
    """One topic, read without a consumer group: nothing of where we stand is kept at the broker.

    `position` is the offset after the last message or mark of the partition that was read last; `identity` is the
    topic's id, which differs where a topic was made anew under an old name.
    """

    def __init__(self, admin: AdminClient, consumer: Consumer, topic: str, where: str, silence_seconds: float) -> None:
        self.consumer, self.topic, self.where, self.silence = consumer, topic, where, silence_seconds
        self.position = 0
        # A time further ahead is no time of receipt; such a message is taken, or it would hold all others up.
        self.latest = round(time.time() * 1000) + FUTURE_MS
        self.answer = min(ANSWER_SECONDS, silence_seconds)
        with self._told_apart():
            described = admin.describe_topics(TopicCollection([topic]), request_timeout=self.answer)
            found = described[topic].result(2 * self.answer)
        self.identity = str(found.topic_id)
        self.partitions = sorted(partition.id for partition in found.partitions)
        self._bounds = {number: self._watermarks(number) for number in self.partitions}

    def ends(self) -> dict[int, int]:
        """By partition, the offset after the last message or mark that the log had when it was opened."""
        return {number: high for number, (_, high) in self._bounds.items()}

    def starts(self, cursor: Mapping[str, Any], resume_at: Mapping[Any, int]) -> dict[int, int]:
        """Where to go on in each partition: at the offsets held, or at the first message there is on the first pull.

        A partition that appeared since the last pull is read from its first message. Raises a SourceError where the
        broker no longer has what comes next.
        """
        if cursor and cursor["topic"] != self.identity:
            raise self._replaced(f"its id was {cursor['topic']} and is {self.identity}")
        held = cursor.get("offsets")
        stated = {str(partition): int(offset) for partition, offset in resume_at.items()}
        found = {}
        for number, (low, high) in self._bounds.items():
            start = low if held is None else held.get(str(number), 0)
            start = max(start, stated.get(str(number), 0))
            if start < low:
                raise self._lost(number, start, low)
            if start > high:
                raise self._replaced(f"partition {number} ends at offset {high:,}, and was read up to {start:,}")
            found[number] = start
        if gone := sorted(set(map(int, held or {})) - set(found)):
            raise self._replaced(f"partition {', '.join(map(str, gone))} is gone")
        return found

    def messages(self, partition: int, start: int, end: int, before: datetime) -> Iterator[Message]:
        """The committed messages from offset `start` on: up to `end`, to the first one that was received at `before` or
        later, or to where the committed log ends.

        The broker's own search by time will not do: it also finds the marks of transactions, by their own time.
        """
        self.position, moment, heard = start, round(before.timestamp() * 1000), time.monotonic()
        self.consumer.assign([TopicPartition(self.topic, partition, start)])
        try:
            while self.position < end:
                message = self.consumer.poll(1.0)
                if message is None:
                    if time.monotonic() - heard > self.silence:
                        raise self._silent(partition, end)
                    continue
                heard = time.monotonic()
                if error := message.error():
                    if error.code() == KafkaError._PARTITION_EOF:
                        self.position = min(max(self.position, message.offset()), end)
                        return
                    raise self._translated(error, partition)
                is_due = not moment <= message.timestamp()[1] <= self.latest
                self.position = min(message.offset() + is_due, end)
                if not is_due or message.offset() >= end:
                    return
                yield message
        finally:
            self.consumer.unassign()

    def _silent(self, partition: int, end: int) -> SourceUnavailable:
        return SourceUnavailable(
            f"the broker sent nothing for {self.silence:.0f} s",
            where=f"{self.where}, partition {partition}, offset {self.position:,} of {end:,}",
            remedy="see whether the broker runs and whether a transaction was left open",
        )

    def _watermarks(self, number: int) -> tuple[int, int]:
        with self._told_apart():
            return self.consumer.get_watermark_offsets(TopicPartition(self.topic, number), timeout=self.answer)

    @contextlib.contextmanager
    def _told_apart(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._translated(error.args[0]) from error

    def _translated(self, error: KafkaError, partition: int | None = None) -> SourceError:
        where = self.where + (f", partition {partition}, offset {self.position:,}" if partition is not None else "")
        if error.code() in LOST and partition is not None:
            return self._lost(partition, self.position, None)
        if error.code() in LASTING:
            return SourceError(
                f"the broker refuses: {error.str()}",
                where=where,
                remedy="compare the contract's path with the broker's topics, and the connection's rights",
            )
        return SourceUnavailable(
            f"the broker is away or overloaded: {error.str()}", where=where, remedy="another try may come through"
        )

    def _lost(self, partition: int, start: int, low: int | None) -> SourceError:
        upto = f" to {low - 1:,}" if low is not None else " and later ones"
        return SourceError(
            f"messages are lost: the broker deleted offsets {start:,}{upto} before they were pulled",
            where=f"{self.where}, partition {partition}",
            remedy="ask the platform to send them again; to go on without them, state the loss in the feed's option "
            f"resumeAt: {{{partition}: {low if low is not None else '<first offset there is>'}}}",
        )

    def _replaced(self, what: str) -> SourceError:
        return SourceError(
            f"this is not the log that was pulled before: {what}",
            where=self.where,
            remedy="ask whether the topic was made anew; its messages need a feed with another id then",
        )


@contextlib.contextmanager
def log(connection: Connection, topic: str, silence_seconds: float) -> Iterator[Log]:
    """A topic at a connection's `bootstrap`; the consumer is closed at the end."""
    bootstrap = str(connection.need("bootstrap"))
    shared = {"bootstrap.servers": bootstrap, "log_level": 2} | dict(connection.settings.get("client") or {})
    consumer = Consumer(READING | shared)
    try:
        where = f"{connection.name}: {bootstrap}, topic {topic}"
        yield Log(AdminClient(shared), consumer, topic, where, silence_seconds)
    finally:
        consumer.close()
