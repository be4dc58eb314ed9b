"""Pulls from folders: complete days only, each file once, refused by name where it is not what its list says."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import contracts
from lakehouse.errors import SourceError, SourceUnavailable
from lakehouse.settings import PROJECT_DIR
from sources.systems import field
from sources.systems.field import documents, drop
from spark_jobs.pull.files import CONNECTOR
from tests.connectors.feed_contracts import contract_document, make_place, write_contract
from tests.connectors.kill_runs import kill_and_finish, landed_rows, run_all
from tests.connectors.receiving import Received
from tests.systems.small_world import write_small_world

FIRST, UNTIL = date(2019, 1, 1), date(2020, 6, 30)
LISTED = {"manifest": "manifest.json"}


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The field office's drop folder with a year and a half of the small world."""
    home, world = tmp_path_factory.mktemp("field"), write_small_world(tmp_path_factory.mktemp("world"))
    field.load(home, world)
    field.advance(home, world, UNTIL)
    return drop.folder(home)


def received(root: Path, folder: Path, path: str, columns: tuple = ("id",), **options: Any) -> Received:
    feed = {"connection": "field", "protocol": "files", "path": path, "options": options}
    contract = write_contract(folder / "contracts", contract_document("field__made", columns, feed))
    return Received(CONNECTOR, contract, {"folder": str(root)}, folder / "spool")


def put(root: Path, day: date | str, files: dict[str, bytes | dict], change: Callable[[dict], None] = id) -> None:
    """Writes a day's folder with its manifest, which `change` may spoil."""
    folder = root / str(day)
    listed = []
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else json.dumps(content, indent=1).encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
        listed.append({"file": name, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"day": str(day), "files": listed}
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def pull_in_steps(pulled: Received) -> None:
    until = FIRST
    while until <= UNTIL:
        until += timedelta(days=45)
        pulled.pull(min(until, UNTIL), stop_after=1 if until.day % 2 else None)
        pulled.pull(min(until, UNTIL))


def test_every_visit_is_a_row_with_the_file_it_came_from(dropped: Path, tmp_path: Path) -> None:
    pulled = received(dropped, tmp_path, "visits/*.json", ("visit_number", "client.name", "_file"), **LISTED)
    pull_in_steps(pulled)
    expected = {path: json.loads(path.read_bytes()) for path in sorted(dropped.glob("*/visits/*.json"))}
    expected = {path: report for path, report in expected.items() if path.parts[-3] < str(UNTIL)}
    assert len(expected) > 10
    rows = pulled.rows()
    assert [row["visit_number"] for row in rows] == [report["visit_number"] for report in expected.values()]
    for row, (path, report) in zip(rows, expected.items(), strict=True):
        assert row | report == row
        assert dropped / row["_day"] / row["_file"] == path
        assert (row["_sha256"], row["_bytes"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    assert "_file" in pulled.parts[0].fields


def test_statements_as_tables_are_one_row_each(dropped: Path, tmp_path: Path) -> None:
    pulled = received(dropped, tmp_path, "statements/*.csv", layout="pairs", **LISTED)
    pull_in_steps(pulled)
    rows = pulled.rows()
    paths = [path for path in sorted(dropped.glob("*/statements/*.csv")) if path.parts[-3] < str(UNTIL)]
    assert len(rows) == len(paths) > 0
    for row, path in zip(rows, paths, strict=True):
        items = {line["item"]: line["value"] for line in csv.DictReader(io.StringIO(path.read_text()))}
        assert {name: value for name, value in row.items() if name[0] != "_"} == items
        assert row["year"].isdigit()


def test_documents_are_kept_byte_for_byte_beside_a_row_each(dropped: Path, tmp_path: Path) -> None:
    pulled = received(dropped, tmp_path, "statements/*.pdf", ("_file",), filesInPart=3, **LISTED)
    pull_in_steps(pulled)
    paths = [path for path in sorted(dropped.glob("*/statements/*.pdf")) if path.parts[-3] < str(UNTIL)]
    assert len(paths) > 5
    assert [(row["_day"], row["_file"]) for row in pulled.rows()] == [
        (path.parts[-3], f"statements/{path.name}") for path in paths
    ]
    kept = {p.name: b for p, b in zip(pulled.parts, pulled.bodies, strict=True) if p.format == "binary"}
    assert kept == {f"{path.parts[-3]}--statements--{path.name}": path.read_bytes() for path in paths}
    assert all(p.records == 0 and p.fields == () for p in pulled.parts if p.format == "binary")


def test_statements_are_one_row_each_in_whatever_form(dropped: Path, tmp_path: Path) -> None:
    """PDFs read by the labels of the product's contract say what the same world's table would."""
    options = contracts.load_all(PROJECT_DIR / "contracts")["field__statement"].feed.options
    pulled = received(dropped, tmp_path, "statements/*", ("_file",), **options)
    pulled.pull(UNTIL)
    rows = {(row["unified_social_credit_code"], row["year"]): row for row in pulled.rows()}
    assert {row["_file"][-4:] for row in rows.values()} == {".csv", ".pdf"}
    world = write_small_world(tmp_path / "world")
    codes = {row["firm_id"]: row["uscc"] for row in pq.read_table(world / "firm.parquet").to_pylist()}
    handed = [r for r in pq.read_table(world / "statement.parquet").to_pylist() if r["handed_in_on"] < UNTIL]
    assert rows.keys() == {(codes[row["firm_id"]], str(row["year"])) for row in handed}
    for row in handed:
        told = rows[codes[row["firm_id"]], str(row["year"])]
        expected = {item: documents.yuan(row[f"{item}_fen"]) for item in documents.STATEMENT}
        assert {item: told[item] for item in expected} == expected
        assert told["audited"] in (("yes", "是") if row["audited"] else ("no", "否"))


def test_a_document_that_tells_nothing_is_kept_and_told(tmp_path: Path) -> None:
    root = tmp_path / "drop"
    put(root, day(0), {"s/a.pdf": b"%PDF-1.4 a scan", "s/b.docx": b"words"})
    pulled = received(root, tmp_path, "s/*", ("year", "_file"), labels={"year": "Year"}, **LISTED)
    pulled.pull(day(1))
    scan, words = pulled.rows()
    assert scan["_file"] == "s/a.pdf" and "tells none of its labels" in scan["_raw"]
    assert words["_file"] == "s/b.docx"
    assert [body for p, body in zip(pulled.parts, pulled.bodies, strict=True) if p.format == "binary"] == [
        b"%PDF-1.4 a scan", b"words",
    ]  # fmt: skip


def test_a_table_is_a_part_byte_for_byte(dropped: Path, tmp_path: Path) -> None:
    pulled = received(dropped, tmp_path, "remote_sensing/*.csv", ("plot_number",), **LISTED)
    pull_in_steps(pulled)
    paths = [path for path in sorted(dropped.glob("*/remote_sensing/*.csv")) if path.parts[-3] < str(UNTIL)]
    assert pulled.bodies == [path.read_bytes() for path in paths] != []
    for part, body in zip(pulled.parts, pulled.bodies, strict=True):
        lines = list(csv.DictReader(io.StringIO(body.decode())))
        assert (part.format, part.records, part.fields) == ("csv", len(lines), tuple(lines[0]))


def test_interruptions_change_no_byte(dropped: Path, tmp_path: Path) -> None:
    for pattern in ("visits/*.json", "leases/*.pdf"):
        whole = received(dropped, tmp_path / "a", pattern, filesInPart=4, **LISTED)
        whole.pull(UNTIL)
        broken = received(dropped, tmp_path / "b", pattern, filesInPart=4, **LISTED)
        while broken.pull(UNTIL, stop_after=1):
            pass
        assert broken.bodies == whole.bodies
        assert [part.name for part in broken.parts] == [part.name for part in whole.parts]
        assert len(whole.parts) > 2


def test_a_day_without_manifest_is_waited_for_and_the_days_before_it_are_given(tmp_path: Path) -> None:
    root = tmp_path / "drop"
    put(root, day(0), {"visits/a.json": {"id": 1}})
    put(root, day(2), {"visits/c.json": {"id": 3}})
    (root / str(day(1)) / "visits").mkdir(parents=True)
    (root / str(day(1)) / "visits" / "b.json").write_text('{"id": 2')
    pulled = received(root, tmp_path, "visits/*.json", **LISTED)
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=f"folder of {day(1)} is not complete"):
            pulled.pull(day(3))
        assert [row["id"] for row in pulled.rows()] == [1]
    put(root, day(1), {"visits/b.json": {"id": 2}})
    pulled.pull(day(2))
    assert [row["id"] for row in pulled.rows()] == [1, 2]
    pulled.pull(day(3))
    assert [row["id"] for row in pulled.rows()] == [1, 2, 3]
    with pytest.raises(SourceUnavailable, match=f"folder of {day(3)} is not complete"):
        pulled.pull(day(4))


def test_days_may_be_left_out_where_the_feed_says_so_and_still_come_later(tmp_path: Path) -> None:
    root = tmp_path / "drop"
    for number in (0, 3, 6):
        put(root, day(number), {f"v/{k}.json": {"id": 10 * number + k} for k in range(2)})
    pulled = received(root, tmp_path, "v/*.json", everyDay=False, filesInPart=1, **LISTED)
    pulled.pull(day(5))
    put(root, day(1), {f"v/{k}.json": {"id": 10 + k} for k in range(3)})
    pulled.pull(day(5), stop_after=2)
    pulled.pull(day(5))
    put(root, day(2), {"v/0.json": {"id": 20}})
    pulled.pull(day(7))
    assert pulled.pull(day(7)) == []
    assert [row["id"] for row in pulled.rows()] == [0, 1, 30, 31, 10, 11, 12, 20, 60, 61]


def break_digest(manifest: dict) -> None:
    manifest["files"][0]["sha256"] = "0" * 64


def break_size(manifest: dict) -> None:
    manifest["files"][0]["bytes"] += 1


def list_what_is_not_there(manifest: dict) -> None:
    manifest["files"].append(manifest["files"][0] | {"file": "v/absent.json"})


def leave_a_file_out(manifest: dict) -> None:
    manifest["files"] = manifest["files"][1:]


def name_a_file_twice(manifest: dict) -> None:
    manifest["files"].append(manifest["files"][0])


def lead_outside(manifest: dict) -> None:
    manifest["files"][0]["file"] = "v/../../../secret.json"


def tell_another_day(manifest: dict) -> None:
    manifest["day"] = "2018-01-01"


def forget_the_files(manifest: dict) -> None:
    del manifest["files"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (break_digest, "v/a.json is refused"),
        (break_size, "v/a.json is refused"),
        (list_what_is_not_there, "v/absent.json is listed and not there"),
        (leave_a_file_out, "v/a.json is not listed"),
        (name_a_file_twice, "names a file twice"),
        (lead_outside, "leads out of the folder"),
        (tell_another_day, "list of 2018-01-01"),
        (forget_the_files, "no list of files"),
    ],
)
def test_a_list_that_is_not_true_is_refused_by_name(tmp_path: Path, change: Callable, said: str) -> None:
    root = tmp_path / "drop"
    put(root, day(0), {"v/a.json": {"id": 1}, "v/b.json": {"id": 2}}, change)
    (tmp_path / "secret.json").write_text('{"id": 0}')
    pattern = "*/*/*/*/*.json" if change is lead_outside else "v/*.json"
    pulled = received(root, tmp_path, pattern, **LISTED)
    with pytest.raises(SourceError, match=said) as caught:
        pulled.pull(day(1))
    assert not caught.value.is_transient
    assert pulled.rows() == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"day": "2019-01-01", "files": {}}', b"\x00" * 99]
)
def test_a_manifest_of_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "drop", day(0), {"v/a.json": {"id": 1}})
    (tmp_path / "drop" / str(day(0)) / "manifest.json").write_bytes(content)
    pulled = received(tmp_path / "drop", tmp_path, "v/*.json", **LISTED)
    with pytest.raises(SourceError, match=r"manifest\.json is no list"):
        pulled.pull(day(1))


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret = b'{"id": "secret"}'
    (tmp_path / "secret.json").write_bytes(secret)
    put(tmp_path / "drop", day(0), {"v/a.json": secret})
    path = tmp_path / "drop" / str(day(0)) / "v" / "a.json"
    path.unlink()
    path.symlink_to(tmp_path / "secret.json")
    with pytest.raises(SourceError, match="leads out of the folder"):
        received(tmp_path / "drop", tmp_path, "v/*.json", **LISTED).pull(day(1))


def test_a_file_that_is_no_record_is_kept_for_quarantine(tmp_path: Path) -> None:
    chance = random.Random(3)
    odd = {f"v/{k:02}.json": chance.choice([b"{", b"[1]", b'{"_file": 1}', b"", b"nothing"]) for k in range(20)}
    put(tmp_path / "drop", day(0), odd | {"v/99.json": {"id": "sound"}})
    pulled = received(tmp_path / "drop", tmp_path, "v/*.json", **LISTED)
    pulled.pull(day(1))
    assert [row["_raw"].encode() for row in pulled.rows()[:-1]] == list(odd.values())
    assert pulled.rows()[-1]["id"] == "sound"
    assert pulled.parts[0].fields == ("id",)
    put(tmp_path / "drop", day(1), {"v/a.json": b"nothing"})
    (part,) = pulled.pull(day(2))
    assert (part.fields, part.records) == ((), 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "empty"),
        ("t.csv", b"a,a\n1,2\n", "column stands twice"),
        ("t.csv", b"a,b\n\xff,2\n", "not utf-8"),
        ("t.csv", b"a,b\n\x00,2\n", "NUL"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000)[:-20], "end"),
        ("t.csv.gz", b"a,b\n1,2\n", "gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n")[:-6] + b"\x00" * 6, "CRC"),
        ("t.parquet", b"PAR1 nothing PAR1", "Parquet"),
    ],
    # Named, because a gzip header holds the time and the processes of a run must name their tests alike.
    ids=["empty", "same column twice", "not utf-8", "NUL", "gzip cut short", "no gzip", "gzip damaged", "no parquet"],
)
def test_a_table_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    put(tmp_path / "drop", day(0), {f"v/{name}": content})
    pulled = received(tmp_path / "drop", tmp_path, "v/t.*", **LISTED)
    with pytest.raises(SourceError, match=f"v/{name} is refused.*{said}"):
        pulled.pull(day(1))
    assert pulled.parts == []


def test_tables_may_be_zipped_lines_documents_of_lists_or_parquet(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2, 3], "x": ["a", "b", "c"]}), sink)
    files = {
        "v/a.csv.gz": gzip.compress(b'\xef\xbb\xbfid,x\r\n1,"a,b"\r\n\r\n2,\r\n'),
        "v/b.jsonl": b'{"id": 1}\n{"id": 2, "x": 1}\nnothing\n',
        "v/c.parquet": sink.getvalue(),
        "v/d.json": {"data": {"list": [{"id": 1}, {"x": 2}]}},
    }
    put(tmp_path / "drop", day(0), files)
    pulled = received(tmp_path / "drop", tmp_path, "v/*", records="data.list", **LISTED)
    pulled.pull(day(1))
    shown = [(part.format, part.records, part.fields) for part in pulled.parts]
    both = ("id", "x")
    assert shown == [("csv", 2, both), ("jsonl", 3, both), ("parquet", 3, both), ("json", 2, both)]
    assert pulled.bodies[:3] == [files[name] for name in sorted(files)[:3]]


def test_a_folder_without_days_gives_each_file_once_and_a_changed_one_again(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("b", "d"):
        (root / f"{name}.json").write_text(f'{{"id": "{name}"}}')
    pulled = received(root, tmp_path, "*.json", settledSeconds=0)
    pulled.pull(FIRST)
    (root / "a.json").write_text('{"id": "a"}')
    (root / ".e.json").write_text("half")
    pulled.pull(FIRST)
    (root / "b.json").write_text('{"id": "b2"}')
    (root / "d.json").unlink()
    pulled.pull(FIRST)
    assert pulled.pull(FIRST) == []
    assert [row["id"] for row in pulled.rows()] == ["b", "d", "a", "b2"]
    assert set(pulled.cursor["taken"]) == {"a.json", "b.json"}


def test_a_file_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.csv").write_text("id\n1\n")
    pulled = received(root, tmp_path, "*.csv", settledSeconds=50)
    assert pulled.pull(FIRST) == []
    os.utime(root / "a.csv", (0, 0))
    assert [part.records for part in pulled.pull(FIRST)] == [1]


def test_a_folder_that_is_not_mounted_is_away(tmp_path: Path) -> None:
    for options in (LISTED, {}):
        with pytest.raises(SourceUnavailable, match="folder is not there"):
            received(tmp_path / "gone", tmp_path, "*.json", **options).pull(FIRST)
    root = tmp_path / "drop"
    put(root, day(0), {"v/a.json": {"id": 1}})
    pulled = received(root, tmp_path, "v/*.json", **LISTED)
    pulled.pull(day(1))
    shutil.rmtree(root / str(day(0)))  # an empty mount point
    with pytest.raises(SourceUnavailable):
        pulled.pull(day(2))


PULLS = [(str(day(number)), "field") for number in (400, 401, 540)]


def killed_pulls_land_what_undisturbed_ones_do(root: Path, folder: Path, kills: int, seed: int) -> int:
    """Pulls twice, undisturbed and with kills, and compares the rows of all feeds; returns the number of kills."""
    kinds = {"visit": "visits/*.json", "statement": "statements/*", "field": "remote_sensing/*.csv"}
    documents = [
        contract_document(
            f"field__{name}",
            ("id",),
            {
                "connection": "field",
                "protocol": "files",
                "path": path,
                "options": LISTED | {"filesInPart": 3} | ({"layout": "pairs"} if name == "statement" else {}),
            },
        )
        for name, path in kinds.items()
    ]
    address = {"field": {"folder": str(root)}}
    calm, killed = (make_place(folder, documents, address, name) for name in ("calm", "killed"))
    undisturbed = run_all(calm, PULLS)
    done = kill_and_finish(killed, PULLS, undisturbed, kills, seed)
    for name in kinds:
        rows, again = landed_rows(calm, f"field__{name}"), landed_rows(killed, f"field__{name}")
        assert rows
        assert again == rows
    kept = {place: sorted(p.name for p in place.home.rglob("*.pdf")) for place in (calm, killed)}
    assert kept[calm] == kept[killed] != []
    return done


def test_kills_leave_the_same_rows(dropped: Path, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(dropped, tmp_path, kills=3, seed=4) > 0
