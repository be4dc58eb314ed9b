"""The drop folder of field evidence: what arrives when, whole, readable, and with gaps where people left them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zlib
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from running import advance_and_die, secrets_in
from small_world import write_small_world

from sources.systems import field
from sources.systems.clock import world_days
from sources.systems.errors import SourcesError
from sources.systems.field import documents, drop, evidence
from sources.systems.projection import renew
from sources.systems.settings import get_settings

UNTIL = date(2020, 6, 30)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents in English, whatever fonts this machine has."""
    monkeypatch.setenv("SOURCES_FIELD_FONT", "/no/font")
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def dropped(world: Path, tmp_path: Path) -> Path:
    """The drop folder, filled up to a day."""
    field.load(tmp_path, world)
    field.advance(tmp_path, world, UNTIL)
    return drop.folder(tmp_path)


def table_rows(world: Path, name: str) -> list[dict]:
    return pq.read_table(world / f"{name}.parquet").to_pylist()


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def text_of(pdf: bytes) -> str:
    """The text of a PDF, taken out by the rules of the format alone: strings of its streams, mapped to Unicode."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    plain = [zlib.decompress(raw) if raw[:1] == b"x" else raw for raw in streams]
    mapping: dict[int, str] = {}
    for stream in plain:
        if b"beginbfchar" in stream or b"beginbfrange" in stream:
            for code, letter in re.findall(rb"^<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>$", stream, re.MULTILINE):
                mapping[int(code, 16)] = bytes.fromhex(letter.decode()).decode("utf-16-be")
    found = []
    for stream in plain:
        for string in re.findall(rb"\(((?:\\.|[^\\()])*)\) Tj", stream, re.DOTALL):
            raw = re.sub(rb"\\([\\()])", rb"\1", string).replace(b"\\r", b"\r").replace(b"\\n", b"\n")
            if mapping:
                codes = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
                found.append("".join(mapping.get(code, "?") for code in codes))
            else:
                found.append(raw.decode("cp1252"))
    return "\n".join(found)


def test_every_day_has_a_manifest_that_tells_its_files_truly(world: Path, dropped: Path) -> None:
    first, _ = world_days(world)
    days = sorted(path.name for path in dropped.iterdir())
    assert days == [str(first + timedelta(days=k)) for k in range((UNTIL - first).days + 1)]
    listed = 0
    for day in days:
        manifest = json.loads((dropped / day / drop.MANIFEST).read_text())
        names = {entry["file"] for entry in manifest["files"]}
        present = {str(p.relative_to(dropped / day)) for p in (dropped / day).rglob("*") if p.is_file()}
        assert present == names | {drop.MANIFEST}
        for entry in manifest["files"]:
            raw = (dropped / day / entry["file"]).read_bytes()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (entry["bytes"], entry["sha256"])
        listed += len(names)
    assert listed > 30


def test_visits_are_reported_soon_with_free_text_and_missing_fields(world: Path, dropped: Path) -> None:
    reports = [json.loads(path.read_bytes()) for path in dropped.glob("*/visits/*.json")]
    rows = table_rows(world, "branch_visit")
    due = [row for row in rows if row["visited_on"] <= UNTIL - timedelta(days=evidence.REPORT_DAYS)]
    assert len(due) <= len(reports) <= len([row for row in rows if row["visited_on"] <= UNTIL])
    visited = [date.fromisoformat(report["visited_on"].replace("/", "-")) for report in reports]
    told = [date.fromisoformat(report["reported_on"]) for report in reports]
    assert all(0 <= (b - a).days <= evidence.REPORT_DAYS for a, b in zip(visited, told, strict=True))
    assert sorted(visited) <= sorted(row["visited_on"] for row in rows)
    missing = [name for report in reports for name in evidence.OBSERVATIONS if name not in report]
    assert 0 < len(missing) < 0.35 * len(reports) * len(evidence.OBSERVATIONS)
    assert any("number" not in report["client"] for report in reports)
    assert any("pallets" in report.get("note", "") for report in reports)


def test_statements_say_the_figures_that_were_handed_in(world: Path, dropped: Path) -> None:
    by_code = {row["firm_id"]: row["uscc"] for row in table_rows(world, "firm")}
    expected = {by_code[row["firm_id"]]: row for row in table_rows(world, "statement") if row["handed_in_on"] <= UNTIL}
    assert expected
    seen = {}
    for path in dropped.glob("*/statements/*.pdf"):
        text = text_of(path.read_bytes())
        seen[next(code for code in expected if code in text)] = text
    for path in dropped.glob("*/statements/*.csv"):
        items = {line["item"]: line["value"] for line in csv.DictReader(io.StringIO(path.read_text()))}
        seen[items["unified_social_credit_code"]] = "\n".join(items.values())
    assert set(seen) == set(expected)
    for code, row in expected.items():
        for item in documents.STATEMENT:
            assert f"{row[f'{item}_fen'] / 100:,.2f}" in seen[code]
    assert list(dropped.glob("*/statements/*.pdf"))
    assert list(dropped.glob("*/statements/*.csv"))


def test_leases_are_there_for_leased_machines_only(world: Path, dropped: Path) -> None:
    leased = [row for row in table_rows(world, "equipment") if row["leased"]]
    texts = [text_of(path.read_bytes()) for path in dropped.glob("*/leases/*.pdf")]
    assert len(texts) == len(leased) > 0
    assert all("Equipment lease contract" in text and "Invented Machines" in text for text in texts)


def test_field_statistics_come_days_after_the_satellite(world: Path, dropped: Path) -> None:
    rows = []
    for path in dropped.glob("*/remote_sensing/*.csv"):
        day = date.fromisoformat(path.parts[-3])
        for line in csv.DictReader(io.StringIO(path.read_text())):
            late = (day - date.fromisoformat(line["observed_on"])).days
            assert evidence.SCENE_DAYS[0] <= late <= evidence.SCENE_DAYS[1]
            rows.append((line["observed_on"], float(line["sensed_area_mu"]), line["crop_guess"]))
    expected = [
        (str(r["observed_on"]), r["sensed_area_mu"], r["crop_guess"]) for r in table_rows(world, "remote_sensing")
    ]
    assert sorted(rows) == sorted(expected)


def test_steps_leaps_and_kills_end_in_the_same_bytes(world: Path, dropped: Path, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    field.load(steps, world)
    first, _ = world_days(world)
    for until in (first, first + timedelta(days=40), date(2019, 12, 31), date(2019, 12, 31)):
        field.advance(steps, world, until)
    # Dies among the files of the day on which statements are handed in.
    advance_and_die("field", steps, world, UNTIL, "sources.systems.field.drop.put", 130)
    assert drop.complete_through(drop.folder(steps)) == date(2020, 4, 27)
    assert list((drop.folder(steps) / "2020-04-28" / "statements").iterdir())
    field.advance(steps, world, UNTIL)
    assert content(drop.folder(steps)) == content(dropped)


def test_nothing_of_the_truth_shows_and_no_file_is_half_written(dropped: Path) -> None:
    files = content(dropped)
    assert not [name for name in files if name.endswith(".part")]
    texts = [text_of(raw) if name.endswith(".pdf") else raw.decode() for name, raw in files.items()]
    assert secrets_in("\n".join([*texts, *files])) == set()


def test_a_chinese_font_gives_chinese_documents_whose_text_can_be_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCES_FIELD_FONT")
    get_settings.cache_clear()
    font = documents.chinese_font(tmp_path / "font.ttf", "杭州样本机械有限公司")
    if font is None:
        pytest.skip("no font with Chinese characters on this machine")
    row = {f"{item}_fen": 123_456_700 + number for number, item in enumerate(documents.STATEMENT)}
    row |= {"name": "杭州样本机械有限公司", "uscc": "91330100MA20000017", "year": 2020, "audited": True}
    row |= {"document_number": "FS1", "arrives_on": date(2021, 4, 28)}
    text = text_of(documents.statement(row, font))
    assert "杭州样本机械有限公司" in text
    assert "营业收入" in text
    assert "1,234,567.00" in text


def test_another_world_starts_from_nothing_and_the_same_one_goes_on(world: Path, tmp_path: Path) -> None:
    other = write_small_world(tmp_path / "other", firms=6, days=40, seed=8)
    home = tmp_path / "home"
    field.load(home, other)
    field.advance(home, other, world_days(other)[1])
    field.load(home, other)
    assert drop.complete_through(drop.folder(home)) == world_days(other)[1]
    field.load(home, world)
    assert drop.complete_through(drop.folder(home)) is None
    with pytest.raises(SourcesError, match="another world"):
        renew(home / "field", other, Path(field.__file__).parent, "drop", running=True)
