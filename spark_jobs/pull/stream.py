"""A topic of a Kafka broker, pulled in ranges of offsets that the lakehouse itself remembers.

Only committed messages are read, each partition up to the first message received on the day of the pull. A slice takes
the partitions one after another until it has `messages` of them, and makes one part for each schema version in it, so
that a change of unit never lies within a part. Gaps between offsets are the broker's own marks and no loss; an offset
that the broker has deleted is a loss, and stops the feed. Options of the feed, whose path is the topic:

- `messages`, `megabytes`: how much a slice holds.
- `schemaVersionField`: the member that says in which schema version a message is; `schema_version` if not given.
- `resumeAt`: offset by partition, from which on to read after messages were lost; it is written by the person who has
  taken note of the loss.
- `silenceSeconds`: how long the broker may say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.time import business_midnight
from spark_jobs.pull.lines import JsonLines
from spark_jobs.pull.part import Part, Pull
from spark_jobs.pull.stream_log import Log, log
from spark_jobs.pull.stream_message import OWN, Line, line_of

MESSAGES = 50_000
MEGABYTES = 64
SILENCE_SECONDS = 30.0
MOST_VERSIONS = 32  # in one slice: each is an open file


class Stream:
    """The connector of protocol `stream`.

    The connection's settings are `bootstrap` and, where the broker wants more, `client`: options of librdkafka. The
    cursor holds the topic's own id, the next offset of each partition, and of a slice of several versions how far it
    goes and which of them are kept.
    """

    def fetch(self, pull: Pull) -> Iterator[Part]:
        """Ranges of messages that were received before `until`."""
        silence = float(pull.options.get("silenceSeconds", SILENCE_SECONDS))
        cursor, number = dict(pull.cursor or {}), pull.number
        with log(pull.connection, pull.contract.feed.path, silence) as topic:
            ends = topic.ends()
            starts = topic.starts(cursor, pull.options.get("resumeAt") or {})
            while True:
                slice_ = _Slice(pull, number, topic.identity, starts, cursor.get("open"))
                try:
                    slice_.read(topic, ends)
                    for part in slice_.parts():
                        number, cursor = number + 1, dict(part.cursor)
                        yield part
                finally:
                    slice_.discard()
                if starts == slice_.reached:
                    return
                starts, cursor = slice_.reached, {}


@dataclass
class _Slice:
    """The next messages of a topic, sorted by schema version into files of the spool.

    `open` describes the slice where an earlier run was interrupted within it.
    """

    pull: Pull
    number: int
    identity: str
    starts: dict[int, int]
    open: Mapping[str, Any] | None = None
    reached: dict[int, int] = field(default_factory=dict)
    files: dict[int, JsonLines] = field(default_factory=dict)
    fields: dict[int, dict[str, None]] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0

    def read(self, topic: Log, ends: Mapping[int, int]) -> None:
        """Takes messages in until the slice is full or every partition at its end."""
        if self.open:
            ends = {int(partition): offset for partition, offset in self.open["to"].items()}
        self.reached, before = dict(self.starts), business_midnight(self.pull.until)
        for partition in sorted(ends):
            if self.reached[partition] >= ends[partition] or self._is_full():
                continue
            for message in topic.messages(partition, self.reached[partition], ends[partition], before):
                self._take(line_of(message, self._version_field))
                self.reached[partition] = message.offset() + 1
                if self._is_full():
                    break
            else:
                # What lies between the last message and the end are the broker's marks.
                self.reached[partition] = topic.position
        if self.open:
            self.reached |= ends

    def parts(self) -> Iterator[Part]:
        """One part for each version that is not kept yet; only the last one's cursor leaves the slice."""
        kept = list(self.open["kept"]) if self.open else []
        versions = sorted(set(self.files) - set(kept))
        for place, version in enumerate(versions, start=1):
            kept.append(version)
            cursor: dict[str, Any] = {"topic": self.identity, "offsets": _by_text(self.reached)}
            if place < len(versions):
                cursor["offsets"] = _by_text(self.starts)
                cursor["open"] = {"to": _by_text(self.reached), "kept": kept[:]}
            file = self.files[version]
            yield Part(
                name=f"messages-{self.number + place:06d}.jsonl.gz",
                body=file.close().rename(file.path.with_name(f"messages-{self.number + place:06d}.jsonl.gz")),
                format="jsonl",
                records=file.records,
                fields=self._known_fields(version),
                cursor=cursor,
                schema_version=version,
            )

    def discard(self) -> None:
        """Removes what is still in the spool."""
        for file in self.files.values():
            file.discard()

    def _take(self, line: Line) -> None:
        if line.version not in self.files:
            self.files[line.version] = JsonLines(self.pull.spool / f"version-{line.version}.jsonl.gz")
        self.files[line.version].add(line.text)
        self.fields.setdefault(line.version, {}).update(line.fields)
        self.messages += 1
        self.bytes += len(line.text)

    def _is_full(self) -> bool:
        if self.open:
            return False
        most_bytes = float(self.pull.options.get("megabytes", MEGABYTES)) * (1 << 20)
        most_messages = int(self.pull.options.get("messages", MESSAGES))
        return self.messages >= most_messages or self.bytes >= most_bytes or len(self.files) >= MOST_VERSIONS

    @property
    def _version_field(self) -> str:
        return str(self.pull.options.get("schemaVersionField", "schema_version"))

    def _known_fields(self, version: int) -> tuple[str, ...]:
        """The messages' members, and of our own those that the contract asks for; none where all was garbage."""
        asked = {c.source_name for c in self.pull.contract.columns}
        sent = self.fields[version]
        return (*sent, *(name for name in OWN if name in asked)) if sent else ()


def _by_text(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


CONNECTOR = Stream()
