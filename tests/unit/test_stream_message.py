"""Messages as lines: what was sent stays as it was sent, and nothing that was sent is lost, whatever it is."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.pull.lines import JsonLines
from spark_jobs.pull.stream_message import OWN, line_of

RECEIVED = 1_546_272_000_123  # 2019-01-01 00:00:00.123 in China
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

NAMES = st.text(max_size=6).filter(lambda name: not name.startswith("_"))


@dataclass
class Sent:
    """A message as the client library gives it."""

    sent: bytes | None
    name: bytes | None = b"M-1"
    milliseconds: int = RECEIVED

    def value(self) -> bytes | None:
        return self.sent

    def key(self) -> bytes | None:
        return self.name

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 17

    def timestamp(self) -> tuple[int, int]:
        return 1, self.milliseconds


def parsed(sent: bytes | None, name: bytes | None = b"M-1") -> dict:
    line = line_of(Sent(sent, name), "schema_version").text
    assert b"\n" not in line
    assert b"\r" not in line
    return json.loads(line)


def test_an_object_stays_as_it_was_sent_with_our_members_before_its_own() -> None:
    line = line_of(Sent(b'{"schema_version":2, "x": 1.50,\r\n "n": {"a": "b\\n"}}\n'), "schema_version")
    ours = '"_key":"M-1","_partition":2,"_offset":17,"_received_at":"2019-01-01T00:00:00.123+08:00"'
    assert line.text.decode() == f'{{{ours},"schema_version":2, "x": 1.50,   "n": {{"a": "b\\n"}}}}'
    assert (line.version, list(line.fields)) == (2, ["schema_version", "x", "n"])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"hello",
        b"[1]",
        b"1",
        b"null",
        b'{"a": NaN}',
        b'{"a": 1} trailing',
        b'{"a": "line\nbreak"}',
        b'{"_offset": 1}',
        b'{"\\ud800": 1}',
        b"\xef\xbb\xbf{}",
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        '{"a": "中"}'.encode("utf-16"),
        b'{"a": "\xff"}',
    ],
)
def test_what_is_no_object_is_kept_whole(sent: bytes) -> None:
    found = parsed(sent)
    kept = found["_raw"].encode("utf-8") if "_raw" in found else base64.b64decode(found["_raw_base64"])
    assert kept == sent
    assert line_of(Sent(sent), "schema_version").fields == {}
    assert found["_offset"] == 17


def test_no_value_is_not_an_empty_one() -> None:
    assert parsed(None)["_raw"] is None
    assert parsed(b"")["_raw"] == ""
    assert parsed(b"{}") == {name: parsed(b"")[name] for name in OWN}
    assert parsed(b"{}", None)["_key"] is None
    assert parsed(b"{}", b"\xff")["_key"] == "\\xff"


@pytest.mark.parametrize(
    ("stated", "version"), [("3", 3), ('"3"', 1), ("true", 1), ("0", 1), ("-1", 1), ("1e3", 1), ("99999999999", 1)]
)
def test_a_version_that_is_none_counts_as_the_first(stated: str, version: int) -> None:
    sent = f'{{"v": {stated}}}'.encode()
    assert line_of(Sent(sent), "v").version == version
    assert line_of(Sent(sent), "schema_version").version == 1


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (-1, None),
        (0, "1970-01-01T08:00:00.000+08:00"),
        (1_600_000_000_999, "2020-09-13T20:26:40.999+08:00"),
        (1 << 62, None),
    ],
)
def test_a_time_is_shown_in_china_to_the_millisecond(milliseconds: int, shown: str | None) -> None:
    line = line_of(Sent(b"{}", milliseconds=milliseconds), "schema_version").text
    assert json.loads(line)["_received_at"] == shown


@given(st.dictionaries(NAMES, JSON, max_size=5), st.sampled_from([None, 2]), st.booleans())
def test_any_object_comes_back_with_the_same_members(sent: dict, indent: int | None, is_ascii: bool) -> None:
    found = parsed(json.dumps(sent, indent=indent, ensure_ascii=is_ascii).encode("utf-8"))
    assert {name: value for name, value in found.items() if name not in OWN} == sent


@given(st.binary(max_size=60))
def test_any_bytes_make_one_line_from_which_they_can_be_had(sent: bytes) -> None:
    found = parsed(sent)
    if "_raw_base64" in found:
        assert base64.b64decode(found["_raw_base64"]) == sent
    elif "_raw" in found:
        assert found["_raw"].encode("utf-8") == sent


def test_a_file_of_lines_depends_on_its_lines_alone(tmp_path: Path) -> None:
    made = []
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        lines = JsonLines(tmp_path / name)
        for number in range(50_000):
            lines.add(f'{{"number":{number}}}'.encode())
        assert lines.records == 50_000
        made.append(lines.close().read_bytes())
    assert made[0] == made[1]
    assert [json.loads(line)["number"] for line in gzip.decompress(made[0]).splitlines()] == list(range(50_000))
