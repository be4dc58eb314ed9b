"""Messages on their way to the platform: shares of late, doubled, lost and wrongly clocked ones, without a broker."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_world import write_small_world

from sources.economy.schema import TABLES
from sources.systems.clock import world_days
from sources.systems.industrial.topics import BLOCK_HOURS, TOPICS, arrivals, prepare
from sources.systems.projection import open_world

MACHINES, DAYS = 240, 80
TOPIC = {topic.name: topic for topic in TOPICS}
READINGS = TOPIC["platform.equipment-readings"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with many machines that each report every hour."""
    folder = write_small_world(tmp_path_factory.mktemp("world"), firms=12, days=120)
    firm = pq.read_table(folder / "firm.parquet").column("firm_id").to_pylist()[0]
    start = world_days(folder)[0]
    machine = {"firm_id": firm, "kind": "lathe", "maker": "Invented", "installed_on": start, "leased": False}
    machines = [machine | {"equipment_id": 610_000 + k, "rated_kw": 20.0} for k in range(MACHINES)]
    midnight = datetime(start.year, start.month, start.day)
    hours = [
        {"equipment_id": 610_000 + k, "hour_at": midnight + timedelta(hours=h), "output_units": h, "energy_kwh": h / 8}
        for k in range(MACHINES)
        for h in range(24 * DAYS)
    ]
    pq.write_table(pa.Table.from_pylist(machines, TABLES["equipment"].schema), folder / "equipment.parquet")
    pq.write_table(pa.Table.from_pylist(hours, TABLES["equipment_hour"].schema), folder / "equipment_hour.parquet")
    return folder


@pytest.fixture(scope="module")
def messages(world: Path) -> list[tuple[datetime, str, dict]]:
    """All messages of the readings topic in the order of their receipt."""
    return received(world, "platform.equipment-readings", *world_days(world))


def received(world: Path, topic: str, first: date, last: date) -> list[tuple[datetime, str, dict]]:
    source = open_world(world)
    prepare(source, world)
    rows = source.sql(arrivals(TOPIC[topic], world, first, last)).fetchall()
    return [(at, key, json.loads(value)) for at, key, value in rows]


def true_start(world: Path, message: dict) -> datetime:
    """When a block began, from its number: the gateway counts blocks since it was connected."""
    first = world_days(world)[0]
    return datetime(first.year, first.month, first.day) + timedelta(hours=BLOCK_HOURS * (message["sequence"] - 1))


def test_duplicates_have_the_declared_share_and_are_the_same_message(messages: list) -> None:
    copies = Counter(message["event_id"] for _, _, message in messages)
    doubled = sum(count > 1 for count in copies.values()) / len(copies)
    assert doubled == pytest.approx(READINGS.traits.duplicate_ratio, rel=0.15)
    assert set(copies.values()) == {1, 2}
    assert len({json.dumps(message) for *_, message in messages}) == len(copies)


def test_what_never_comes_is_lost_in_outages_of_the_declared_share(world: Path, messages: list) -> None:
    blocks = {(key, message["sequence"]) for _, key, message in messages}
    per_machine = 24 * DAYS // BLOCK_HOURS
    lost = 1 - len(blocks) / (MACHINES * per_machine)
    traits = READINGS.traits
    mean_hours = (2 + traits.outage_hours) / 2
    assert lost == pytest.approx(traits.outage_ratio * traits.lost_ratio * mean_hours / 24, rel=0.5)
    by_machine: dict[str, set[int]] = {}
    for key, number in blocks:
        by_machine.setdefault(key, set()).add(number)
    gaps = [number for held in by_machine.values() for number in range(1, per_machine + 1) if number not in held]
    runs = sum(
        number not in held and number - 1 in held | {0}
        for held in by_machine.values()
        for number in range(1, per_machine + 1)
    )
    assert len(gaps) / runs > 2  # neighbours are lost together, not blocks at random


def test_disorder_comes_from_stragglers_and_from_bursts_after_outages(world: Path, messages: list) -> None:
    ready = timedelta(hours=BLOCK_HOURS)
    first_seen = {}
    for at, key, message in messages:
        first_seen.setdefault((key, message["sequence"]), at - true_start(world, message) - ready)
    delays = list(first_seen.values())
    assert min(delays) > timedelta(0)
    late = sum(delay > timedelta(minutes=10) for delay in delays) / len(delays)
    traits = READINGS.traits
    held = traits.outage_ratio * (1 - traits.lost_ratio) * (2 + traits.outage_hours) / 2 / 24
    assert late == pytest.approx(traits.straggler_ratio + held, rel=0.25)
    assert max(delays) < timedelta(days=8)
    bursts = Counter((key, at.replace(second=0, microsecond=0)) for at, key, _ in messages)
    assert max(bursts.values()) >= 4
    order = [message["sequence"] for _, key, message in messages if key == messages[0][1]]
    assert order != sorted(order)


def test_clocks_are_wrong_by_device_as_declared(world: Path, messages: list) -> None:
    offsets: dict[str, dict[int, float]] = {}
    for _, key, message in messages:
        told = datetime.fromisoformat(message["event_at"]).replace(tzinfo=None)
        offsets.setdefault(key, {})[message["sequence"]] = (told - true_start(world, message)).total_seconds()
    kinds = Counter(kind_of_clock(list(by_block.values())) for by_block in offsets.values())
    traits = READINGS.traits
    # Three standard errors of a share over this many machines.
    for kind, share in (
        ("constant", traits.constant_skew_ratio),
        ("drift", traits.drift_ratio),
        ("zone", traits.zone_ratio),
    ):
        assert abs(kinds[kind] / MACHINES - share) < 3 * (share * (1 - share) / MACHINES) ** 0.5
    assert kinds["right"] > MACHINES * 0.75


def kind_of_clock(offsets: list[float]) -> str:
    if len(set(offsets)) > 1:
        return "drift"
    return {0.0: "right", -28800.0: "zone"}.get(offsets[0], "constant")


def test_the_receive_time_orders_messages_and_windows_join_seamlessly(world: Path, messages: list) -> None:
    assert [at for at, *_ in messages] == sorted(at for at, *_ in messages)
    first, last = world_days(world)
    pieces, day = [], first
    for days in (1, 2, 17, 11, 400):
        until = min(last, day + timedelta(days=days - 1))
        pieces += received(world, "platform.equipment-readings", day, until)
        day = until + timedelta(days=1)
    assert pieces == messages


def test_schema_two_counts_energy_in_watt_hours(world: Path, messages: list) -> None:
    seen = set()
    for _, _, message in messages:
        start = true_start(world, message)
        first = world_days(world)[0]
        hours = (start - datetime(first.year, first.month, first.day)).total_seconds() / 3600
        unit = {1: 1, 2: 1000}[message["schema_version"]]
        assert message["energy"] == [pytest.approx((hours + h) / 8 * unit) for h in message["hours"]]
        seen.add(message["schema_version"])
    assert seen == {1, 2}


def test_an_open_order_tells_nothing_of_its_cancelling(world: Path) -> None:
    told = [message for *_, message in received(world, "platform.orders", *world_days(world))]
    placed = [message for message in told if message["event_type"] == "order_placed"]
    cancelled = {m["order_number"]: m["event_at"] for m in told if m["event_type"] == "order_cancelled"}
    assert cancelled
    assert all("cancelled" not in json.dumps(message) for message in placed)
    assert all(cancelled[m["order_number"]] > m["event_at"] for m in placed if m["order_number"] in cancelled)
