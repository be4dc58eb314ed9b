"""Bronze of pulled feeds: every format, schema versions, policies, times and repeats, whatever a source sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakehouse import engine, ledger, tables
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from spark_jobs import bronze, landing, quarantine
from tests import feeds
from tests.drops import publish_builds
from tests.feeds import METER, land, lines, page, reading, use_feed

pytestmark = pytest.mark.engine
TABLE = f"bronze.{METER}"
TOKEN = "tok1_phone_" + "a" * 26
SEALED = f"sealed:1:{TOKEN}:{'0' * 32}:AAAA"


def build(partition: str) -> None:
    """Parses what was landed and makes it readable, without the gate's wait."""
    bronze.build(partition)
    with engine.session() as spark:
        publish_builds(spark, "bronze", partition)


def rows(*columns: str, where: str = "true") -> list[tuple]:
    """Published rows in order of batch, file and place, as texts."""
    with engine.session() as spark:
        found = tables.read(spark, TABLE).where(where).orderBy("batch_sequence", "source_file", "row_number")
        return [tuple(r) for r in found.selectExpr(*(f"cast({c} AS string)" for c in columns)).collect()]


def held() -> list[Any]:
    with engine.session() as spark:
        return quarantine.held(spark, METER).orderBy("batch_sequence", "source_file", "row_number").collect()


def test_one_content_in_every_format_is_one_bronze(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch)
    records = [
        reading(n, f"2020-01-{n:02}T23:30:00+08:00", df=n / 100, rs=None if n % 3 == 0 else n) for n in range(1, 21)
    ]
    land(contract, "2020-02-01", page(records[:12]), page(records[12:], "page-000002.json.gz"))
    land(contract, "2020-02-02", lines(records))
    land(contract, "2020-02-03", feeds.table(records), lines(records[:1], "b.jsonl"))
    land(contract, "2020-02-04", feeds.columns(records, tmp_path))
    build("2020-02-04")

    facts = "record_id", "published_at", "account", "read_on", "fee_cny", "state", "heads", "record_key", "record_hash"
    found = {day: rows(*facts, where=f"received_on = date'{day}'") for day in ("2020-02-01", "2020-02-02")}
    first = found["2020-02-01"]
    assert len(first) == 20 and first[11][:7] == (
        "R12", "2020-01-12 23:30:00", "C5", "2020-01-04", "0.12", "open", None
    )  # fmt: skip
    assert found["2020-02-02"] == first
    assert rows(*facts, where="source_file = 'bulk.csv.gz'") == first
    assert rows(*facts, where="source_file = 'bulk.parquet'") == first
    for name in ("part-000001.jsonl.gz", "bulk.csv.gz", "bulk.parquet"):
        numbers = rows("row_number", where=f"source_file = '{name}'")
        assert [int(n) for (n,) in numbers] == list(range(1, 21))
    with engine.session() as spark:
        accounts = ledger.batches(spark).orderBy("partition").collect()
    assert [(a["rows_in"], a["rows_accepted"], a["rows_duplicate"]) for a in accounts] == [
        (20, 20, 0), (20, 20, 0), (21, 20, 1), (20, 20, 0),
    ]  # fmt: skip
    assert [a["profile"]["closed"] for a in accounts] == [0, 0, 0, 0]


def test_history_is_known_when_published_and_news_when_received(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch)
    early = reading(2, "2020-02-01T09:00:00+08:00")  # in a page that straddles the end of the pull
    land(contract, "2020-02-01", page([reading(1, "2019-12-31T20:00:00Z"), early]))
    land(contract, "2020-02-02", page([reading(3, "2020-01-20T08:00:00"), reading(4, "2020-02-02T00:30:00+08:00")]))
    build("2020-02-02")
    assert rows("record_id", "known_at", "known_at_is_assumed") == [
        ("R1", "2020-01-01 04:00:00", "true"),
        ("R2", "2020-02-01 09:00:00", "false"),
        ("R3", "2020-02-02 00:00:00", "false"),
        ("R4", "2020-02-02 00:30:00", "false"),
    ]


# a record as sent → why it is held
TRAPS: list[tuple[Any, set[str]]] = [
    ('{"record_id": "R70", "published', {"malformed_record"}),
    ("[1, 2]", {"malformed_record"}),
    ('"text"', {"malformed_record"}),
    ('{"_raw": "<xml/>", "_offset": 7}', {"malformed_record"}),
    (reading(71, "yesterday"), {"bad_type:published_at"}),
    (reading(72, "300000-01-01T00:00:00Z"), {"bad_type:published_at"}),
    (reading(73, customer=...), {"missing:account"}),
    (reading(74, customer={"no": None}), {"missing:account"}),
    (reading(75, cbrq="20200230"), {"bad_type:read_on"}),
    (reading(76, df="1e3"), {"bad_type:fee_cny"}),
    (reading(77, df=1.005), {"bad_type:fee_cny"}),
    (reading(78, df="-1"), {"below_minimum:fee_cny"}),
    (reading(79, df=9600000000000000), {"too_dear"}),
    ('{"record_id":"R82","published_at":"2020-01-05T10:00:00Z","customer":{"no":"C1"},"df":9.6E15}', {"too_dear"}),
    ('{"record_id":"R83","record_id":"R84"}', {"malformed_record"}),
    (reading(80, zt="9"), {"unknown_code:state"}),
    (reading(81, rs="three"), {"bad_type:heads"}),
    (reading(0, record_id="X1"), {"bad_pattern:record_id"}),
]


def test_numbers_come_as_numbers_or_text_and_traps_are_held_with_what_was_sent(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch)
    sound = [
        reading(1, df="12.50", zt=1, rs="3", cbrq=20200104),
        reading(2, df=12345678901234.56),
        reading(3, df="12345678.90"),
        reading(4, "2020-01-05T02:00:00.123456Z", zt=2),
        '{"record_id":"R5","published_at":"2020-01-05 10:00:00","customer":{"no":"C5","x":[1]},'
        '"df":9007199254740993.10}',
        *(reading(n) for n in range(6, 24)),
    ]
    assert len(sound) > len(TRAPS)
    land(contract, "2020-02-01", lines([*sound, *(record for record, _ in TRAPS)]))
    build("2020-02-01")
    assert rows("record_id", "published_at", "fee_cny", "state", "heads", "read_on")[:5] == [
        ("R1", "2020-01-05 10:00:00", "12.50", "open", "3", "2020-01-04"),
        ("R2", "2020-01-05 10:00:00", "12345678901234.56", "open", "3", "2020-01-04"),
        ("R3", "2020-01-05 10:00:00", "12345678.90", "open", "3", "2020-01-04"),
        ("R4", "2020-01-05 10:00:00.123456", "12.50", "closed", "3", "2020-01-04"),
        ("R5", "2020-01-05 10:00:00", "9007199254740993.10", None, None, None),
    ]
    kept = held()
    assert [set(r["reasons"]) for r in kept] == [why for _, why in TRAPS]
    assert [r["row_number"] for r in kept] == [len(sound) + i for i in range(1, len(TRAPS) + 1)]
    assert [r["raw_line"] for r in kept[:4]] == [TRAPS[0][0], TRAPS[1][0], TRAPS[2][0], "<xml/>"]
    by_id = {r["raw"]["record_id"]: r["raw"] for r in kept if r["raw_line"] is None}
    assert by_id["R75"]["cbrq"] == "20200230" and by_id["R77"]["df"] == "1.005"
    assert by_id["R74"]["customer"] == '{"no":null}' and "customer" not in by_id["R73"]


def test_versions_are_read_by_their_variants_and_changes_held_or_kept_as_stated(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch, "quarantine")
    second = [reading(n, df=..., df_fen=1234 + n, zt="B") for n in (2, 3)]
    odd = reading(4, df=..., df_fen="1.5", zt="A")
    land(contract, "2020-02-01", page([reading(1)]), page([*second, odd], "page-000002.json", 2))
    third = [reading(n, df=..., df_li=5000 + 10 * n, zt="A") for n in range(10, 13)]
    land(contract, "2020-02-02", page(third, version=3))
    land(contract, "2020-02-03", page([reading(20, zt_new="x")]), page([reading(21)], "page-000002.json"))
    build("2020-02-03")
    assert rows("record_id", "fee_cny", "state") == [
        ("R1", "12.50", "open"), ("R2", "12.36", "closed"), ("R3", "12.37", "closed"), ("R21", "12.50", "open"),
    ]  # fmt: skip
    reasons = {r["raw"]["record_id"]: (sorted(r["reasons"]), r["schema_version"]) for r in held()}
    assert reasons == {
        "R4": (["bad_type:fee_cny"], 2),
        **{f"R{n}": (["schema_changed:+df_li", "schema_changed:-df_fen", "schema_changed:v3"], 3)
           for n in range(10, 13)},
        "R20": (["schema_changed:+zt_new"], 1),
    }  # fmt: skip

    # the contract learns the third version, and what was held goes through as it was sent
    path = tmp_path / "contracts" / f"{METER}.yaml"
    mended = 'scale: "0.01"}, {schemaVersion: 3, physicalName: df_li, scale: "0.001"}]'
    path.write_text(path.read_text(encoding="utf-8").replace('scale: "0.01"}]', mended), encoding="utf-8")
    assert quarantine.release(METER, "2020-02-04", "ann", "fen became li", "schema_changed:v3")["rows"] == 3
    build("2020-02-04")
    assert [r["raw"]["record_id"] for r in held()] == ["R4", "R20"]
    let_in = rows("record_id", "fee_cny", "state", "known_at", where="received_on = date'2020-02-04'")
    assert let_in == [(f"R{n}", f"5.{n}", "open", "2020-02-04 00:00:00") for n in range(10, 13)]
    assert landing.last_cursor(METER) is not None


def test_evolving_feeds_keep_unknown_fields_aside(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch, "evolve", ", ignore: [noise]")
    known, more = reading(1, noise="x"), reading(2, jfzt={"a": [1, 2]}, 备注="晚")
    land(contract, "2020-02-01", page([known, more]), lines([more | {"record_id": "R3", "_offset": 5}]))
    land(contract, "2020-02-02", feeds.table([reading(4) | {"x.y": "z"}]))
    build("2020-02-02")
    assert rows("record_id", "to_json(map_from_entries(array_sort(map_entries(extra))))") == [
        ("R1", None),
        ("R2", '{"jfzt":"{\\"a\\":[1,2]}","备注":"晚"}'),
        ("R3", '{"jfzt":"{\\"a\\":[1,2]}","备注":"晚"}'),
        ("R4", '{"x.y":"z"}'),
    ]


def test_personal_values_stand_as_tokens_and_clear_ones_nowhere(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch, columns=feeds.PHONE)

    def of(number: int, phone: Any, **fields: Any) -> dict[str, Any]:
        return reading(number, customer={"no": "C1", "lxdh": phone}, **fields)

    poison = '{"_raw": "13800000000 broken"}'
    forged = "sealed:1:13800000001:x:y"
    land(contract, "2020-02-01", lines([
        of(1, SEALED), of(2, None), of(3, SEALED, df="much"), of(4, "13800000002"), of(5, forged), poison,
        *(of(n, SEALED) for n in range(6, 12)),
    ]))  # fmt: skip
    build("2020-02-01")
    assert rows("record_id", "phone")[:3] == [("R1", TOKEN), ("R2", None), ("R6", TOKEN)]
    kept = held()
    assert [set(r["reasons"]) for r in kept] == [
        {"bad_type:fee_cny"}, {"clear_personal:phone"}, {"clear_personal:phone"}, {"malformed_record"},
    ]  # fmt: skip
    assert SEALED in kept[0]["raw"]["customer"] and kept[1]["raw"]["record_id"] == "R4"
    assert "1380000000" not in str(kept)


def test_repeats_are_found_within_the_stated_window(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = use_feed(tmp_path, monkeypatch, options=", duplicateWindowDays: 2")
    first, second = reading(1), reading(1, df=99)
    land(contract, "2020-02-01", page([first, reading(2)]))
    land(contract, "2020-02-03", page([first, first, reading(3)]))
    land(contract, "2020-02-04", page([second]))
    land(contract, "2020-02-05", page([first, reading(2)]))  # 1 goes back to what it was; 2 repeats after the window
    build("2020-02-05")
    assert rows("received_on", "record_id", "fee_cny", "disposition") == [
        ("2020-02-01", "R1", "12.50", "accepted"),
        ("2020-02-01", "R2", "12.50", "accepted"),
        ("2020-02-03", "R1", "12.50", "duplicate"),
        ("2020-02-03", "R1", "12.50", "duplicate"),
        ("2020-02-03", "R3", "12.50", "accepted"),
        ("2020-02-04", "R1", "99.00", "accepted"),
        ("2020-02-05", "R1", "12.50", "accepted"),
        ("2020-02-05", "R2", "12.50", "accepted"),
    ]


def test_a_source_taken_at_its_word_is_checked_all_the_same(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bronze, "RANKED_UP_TO", 0)
    contract = use_feed(tmp_path, monkeypatch)
    land(contract, "2020-02-01", page([reading(1), reading(2)]), page([reading(2), reading(3)], "page-000002.json"))
    land(contract, "2020-02-02", page([reading(4)]))
    build("2020-02-02")
    assert rows("record_id", "disposition", "source_file") == [
        ("R1", "accepted", "page-000001.json"), ("R2", "accepted", "page-000001.json"),
        ("R2", "duplicate", "page-000002.json"), ("R3", "accepted", "page-000002.json"),
        ("R4", "accepted", "page-000001.json"),
    ]  # fmt: skip


def test_a_feed_that_breaks_its_contract_holds_back_itself_alone(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bronze, "RANKED_UP_TO", 0)  # also where no row is there to be looked at afterwards
    contract = use_feed(tmp_path, monkeypatch)
    other = tmp_path / "contracts" / "grid__other.yaml"
    other.write_text(feeds.TEXT.format(id="grid__other", policy="freeze", options="", columns=""), encoding="utf-8")
    from lakehouse import contracts

    land(contract, "2020-02-01", page([reading(n, zt="?") for n in range(1, 4)]))
    good = land(contracts.load(other), "2020-02-01", page([reading(n) for n in range(1, 4)]))
    with pytest.raises(GateFailed, match="3 of 3 rows break the contract"):
        bronze.build("2020-02-01")
    with engine.session() as spark:
        assert set(publish_builds(spark, "bronze", "2020-02-01")) == {"bronze.grid__other"}
        assert tables.published_batches(spark) == {good.batch_id}
        assert [b.contract for b in bronze.pending(spark)] == [METER]
        assert not tables.is_published(spark, TABLE) and not tables.is_published(spark, bronze.QUARANTINE)
