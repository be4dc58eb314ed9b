"""Pulls from PostgreSQL: every row once, in the server's own text, up to a midnight, whatever interrupts them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.errors import ConfigError, SourceError, SourceUnavailable
from sources.systems import banking
from sources.systems.banking import cluster
from sources.systems.clock import world_days
from sources.systems.settings import get_settings as source_settings
from spark_jobs.pull.jdbc import CONNECTOR, _Slice
from tests.connectors.feed_contracts import contract_document, make_place, write_contract
from tests.connectors.kill_runs import Place, kill_and_finish, landed_rows, run_all
from tests.connectors.receiving import Received
from tests.systems.running import own_ports
from tests.systems.small_world import write_small_world

pytestmark = pytest.mark.services
DAYS = 200
PAYMENT = ("payment_number", "payer_account", "payee_account", "amount_fen", "booked_at", "remark")
NASTY = ["", " ", "\\", "\\N", "\\n", "a\nb", "a\r\nb", "\t", '"', "''", '{"a": "b\\n"}', "，“中文”", "\u2028", "\x7f"]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bank's databases with half of the small world loaded, and a table of awkward values."""
    home, world = tmp_path_factory.mktemp("bank"), write_small_world(tmp_path_factory.mktemp("world"), days=DAYS)
    with own_ports("banking_port"):
        banking.load(home, world)
        process = banking.processes(home, world)[0]
        process.start()
        try:
            banking.advance(home, world, world_days(world)[0] + timedelta(days=DAYS // 2))
            make_odd_tables(home)
            yield home
        finally:
            process.stop()


def make_odd_tables(home: Path) -> None:
    execute(
        home,
        """
        insert into payments.payment select k, (select min(account_number) from payments.account),
            (select max(account_number) from payments.account), k, at::date, at, at, 'transfer', 'goods', 'no. ' || k
            from generate_series(1, 1200) k, lateral (select timestamp '2019-01-02' + k / 4 * interval '7 hours') m(at);
        create table payments.odd (id bigint primary key, text text, at timestamptz not null, amount numeric(20, 4),
            flag boolean, share double precision, whole jsonb, loose json, days date[], raw bytea);
        create table payments.moved ("Name of, key" text primary key, at timestamp not null);
        create table payments.gappy (id bigint primary key, at timestamp);
        create table payments.log (change_id bigint primary key, table_name text, op char(1), changed_at timestamp,
            "row" jsonb);
        create view payments.keyless as select * from payments.moved;
        grant select on payments.odd, payments.moved, payments.gappy, payments.log, payments.keyless to puller""",
    )


def execute(home: Path, statement: str, rows: list[tuple] | None = None) -> None:
    with cluster.connect(home, "payments") as connection, connection.cursor() as cursor:
        for row in rows if rows is not None else [None]:
            cursor.execute(statement, row)
        connection.commit()


def query(home: Path, database: str, statement: str) -> list[tuple]:
    with cluster.connect(home, database, "puller") as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def dsn(home: Path, database: str = "payments") -> dict[str, str]:
    return {
        "dsn": f"postgresql://puller:{cluster.password(home, 'puller')}@127.0.0.1:{source_settings().banking_port}/"
        f"{database}"
    }


def received(
    home: Path, folder: Path, path: str, options: dict, columns: tuple = ("id",), database: str | None = None
) -> Received:
    database = database or path.split(".")[0]
    feed = {"connection": database, "protocol": "jdbc", "path": path, "options": options}
    contract = write_contract(folder / "contracts", contract_document("bank__made", columns, feed))
    return Received(CONNECTOR, contract, dsn(home, database), folder / "spool")


def test_slices_by_day_and_by_number_of_rows_hold_every_payment_once(bank: Path, tmp_path: Path) -> None:
    pulled = received(bank, tmp_path, "payments.payment", {"watermark": "booked_at", "rows": 37}, PAYMENT)
    for day in (0, 1, 2, 3, 50, 51, 99, 110):
        until = date(2019, 1, 1) + timedelta(days=day)
        pulled.pull(until, stop_after=1 if day % 2 else None)
        pulled.pull(until)
        assert all(row["booked_at"] < str(until) for row in pulled.rows())
    expected = query(
        bank,
        "payments",
        "select payment_number::text, amount_fen::text, booked_at::text, remark "
        "from payments.payment t order by t.booked_at, t.payment_number",
    )
    found = [(r["payment_number"], r["amount_fen"], r["booked_at"], r["remark"]) for r in pulled.rows()]
    assert found == expected
    assert len(found) > 1200
    assert all(part.records <= 37 and part.fields[0] == "payment_number" for part in pulled.parts)
    assert [part.name for part in pulled.parts] == [f"rows-{k + 1:06d}.jsonl.gz" for k in range(len(pulled.parts))]


def test_the_same_pull_has_the_same_bytes_however_it_was_interrupted(bank: Path, tmp_path: Path) -> None:
    options, until = {"watermark": "booked_at", "rows": 150}, date(2019, 4, 1)
    whole = received(bank, tmp_path / "a", "payments.payment", options, PAYMENT)
    whole.pull(until)
    broken = received(bank, tmp_path / "b", "payments.payment", options, PAYMENT)
    while broken.pull(until, stop_after=2):
        pass
    assert broken.bodies == whole.bodies
    assert [part.name for part in broken.parts] == [part.name for part in whole.parts]


@pytest.mark.parametrize("value", [*NASTY, None])
def test_a_value_comes_as_it_stands_in_the_table(bank: Path, tmp_path: Path, value: str | None) -> None:
    execute(bank, "truncate payments.odd")
    row = (1, value, "2019-01-01 23:59:59.999999+08", None, None, None, json.dumps({"a": value}), '{"b" :\n1.50}')
    execute(bank, "insert into payments.odd values (%s, %s, %s, %s, %s, %s, %s, %s)", [row])
    pulled = received(bank, tmp_path, "payments.odd", {"watermark": "at"})
    pulled.pull(date(2019, 1, 2))
    (found,) = pulled.rows()
    assert (found["text"], found["whole"], found["loose"]) == (value, {"a": value}, {"b": 1.5})
    assert found["at"] == "2019-01-01 23:59:59.999999+08"
    assert found["amount"] is None


def test_numbers_and_times_are_the_servers_own_text(bank: Path, tmp_path: Path) -> None:
    execute(bank, "truncate payments.odd")
    values = "2, 'x', '2019-01-01T16:00:00Z', 12345678901234.5000, false, 0.1, null, null, '{2019-01-01}', '\\x00ff'"
    execute(bank, f"insert into payments.odd values ({values})")
    pulled = received(bank, tmp_path, "payments.odd", {"watermark": "at"})
    assert pulled.pull(date(2019, 1, 2)) == [], "16:00 in UTC is the next day in China"
    pulled.pull(date(2019, 1, 3))
    (found,) = pulled.rows()
    assert found == {
        "id": "2", "text": "x", "at": "2019-01-02 00:00:00+08", "amount": "12345678901234.5000", "flag": "false",
        "share": "0.1", "whole": None, "loose": None, "days": "{2019-01-01}", "raw": "\\x00ff",
    }  # fmt: skip


MOMENTS = st.integers(0, 5).map(lambda k: datetime(2019, 1, 1) + timedelta(hours=12 * k))
NAMES = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.dictionaries(NAMES, MOMENTS, max_size=12),
    size=st.integers(1, 5),
    stops=st.lists(st.integers(1, 3), max_size=2),
)
def test_rows_of_one_instant_are_neither_lost_nor_doubled(
    bank: Path, tmp_path: Path, rows: dict[str, datetime], size: int, stops: list[int]
) -> None:
    execute(bank, "truncate payments.moved")
    execute(bank, "insert into payments.moved values (%s, %s)", list(rows.items()))
    pulled = received(bank, tmp_path, "payments.moved", {"watermark": "at", "rows": size}, ("at",))
    for day in (2, 4):
        for stop in stops:
            pulled.pull(date(2019, 1, day), stop_after=stop)
        pulled.pull(date(2019, 1, day))
        due = sorted(name for name, at in rows.items() if at < datetime(2019, 1, day))
        assert sorted(row["Name of, key"] for row in pulled.rows()) == due


def test_late_rows_come_with_an_overlap_and_are_lost_to_a_plain_watermark(bank: Path, tmp_path: Path) -> None:
    execute(bank, "truncate payments.moved")
    insert = "insert into payments.moved values (%s, %s)"
    execute(bank, insert, [("a", "2019-01-01 10:00"), ("c", "2019-01-02 10:00")])
    plain = received(bank, tmp_path / "plain", "payments.moved", {"watermark": "at", "rows": 1}, ("at",))
    wide = received(
        bank, tmp_path / "wide", "payments.moved", {"watermark": "at", "rows": 1, "overlapDays": 1}, ("at",)
    )
    for pulled in (plain, wide):
        pulled.pull(date(2019, 1, 3))
    execute(bank, insert, [("b", "2019-01-01 12:00"), ("d", "2019-01-03 10:00")])
    for pulled in (plain, wide):
        pulled.pull(date(2019, 1, 4), stop_after=1)
        pulled.pull(date(2019, 1, 4))
    assert [row["Name of, key"] for row in plain.rows()] == ["a", "c", "d"]
    assert [row["Name of, key"] for row in wide.rows()] == ["a", "c", "a", "b", "c", "d"]


def test_a_change_log_gives_every_change_of_its_table_in_order(bank: Path, tmp_path: Path) -> None:
    options = {"changeLog": True, "filter": {"table_name": "schedule"}, "rows": 15}
    pulled = received(bank, tmp_path, "core_bank.change_log", options, ("loan_number", "_change_id"))
    for until in (date(2019, 1, 1), date(2019, 2, 1), date(2019, 4, 12)):
        pulled.pull(until, stop_after=2)
        pulled.pull(until)
    expected = query(
        bank,
        "core_bank",
        'select change_id::text, changed_at::text, op::text, "row" from '
        "core_bank.change_log t where table_name = 'schedule' order by t.change_id",
    )
    assert [(r.pop("_change_id"), r.pop("_changed_at"), r.pop("_op"), r) for r in pulled.rows()] == expected
    assert len(expected) > 10
    fields = set(pulled.parts[0].fields)
    assert {"_change_id", "loan_number", "due_on"} <= fields
    assert fields.isdisjoint({"_op", "_changed_at"}), "nobody asked for these"


def test_a_change_log_stops_before_the_first_later_change_even_out_of_order(bank: Path, tmp_path: Path) -> None:
    execute(bank, "truncate payments.log")
    days = [(1, "2019-01-01"), (2, "2019-01-03"), (3, "2019-01-02")]
    execute(bank, "insert into payments.log values (%s, 't', 'I', %s, '{}')", days)
    pulled = received(bank, tmp_path, "payments.log", {"changeLog": True})
    pulled.pull(date(2019, 1, 3))
    assert [row["_change_id"] for row in pulled.rows()] == ["1"]
    pulled.pull(date(2019, 1, 4))
    assert [row["_change_id"] for row in pulled.rows()] == ["1", "2", "3"]
    execute(bank, "insert into payments.log values (4, 't', 'I', '2019-01-05', '[1]')")
    with pytest.raises(SourceError, match="holds no row"):
        pulled.pull(date(2019, 1, 6))


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("payments.paymint", {"watermark": "booked_at"}, "no table payments.paymint"),
        ("payments.payment", {"watermark": "made_at"}, "no column made_at"),
        ("payments.payment", {"watermark": "remark"}, "neither date nor timestamp"),
        ("payments.payment", {"watermark": "booked_at", "columns": ["colour"]}, "no column colour"),
        ("payments.payment", {"watermark": "booked_at", "filter": {"colour": 1}}, "no column colour"),
        ("payments.keyless", {"watermark": "at"}, "no primary key"),
        ("payments.payment", {}, "neither watermark nor changeLog"),
        ("payments.gappy", {"watermark": "at"}, "rows of payments.gappy have no at"),
    ],
)
def test_what_does_not_fit_the_database_is_named(
    bank: Path, tmp_path: Path, path: str, options: dict, said: str
) -> None:
    execute(bank, "insert into payments.gappy values (1, null) on conflict do nothing")
    with pytest.raises((SourceError, ConfigError), match=said) as caught:
        received(bank, tmp_path, path, options).pull(date(2019, 2, 1))
    assert not getattr(caught.value, "is_transient", False)


def test_a_table_that_may_not_be_read_is_refused(bank: Path, tmp_path: Path) -> None:
    execute(bank, "create table if not exists payments.secret (id int primary key, at date not null)")
    for path in ("payments.secret", "loading.progress"):
        pulled = received(bank, tmp_path, path, {"watermark": "at", "key": ["at"]}, database="payments")
        with pytest.raises(SourceError, match="permission denied") as caught:
            pulled.pull(date(2019, 2, 1))
        assert not caught.value.is_transient


def test_a_wrong_password_is_refused_and_a_closed_port_is_away(bank: Path, tmp_path: Path) -> None:
    pulled = received(bank, tmp_path, "payments.payment", {"watermark": "booked_at"})
    right = pulled.connection.settings["dsn"]
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        received_at(pulled, right.replace(cluster.password(bank, "puller"), "wrong")).pull(date(2019, 2, 1))
    assert not caught.value.is_transient
    port = source_settings().banking_port
    with pytest.raises(SourceUnavailable) as away:
        received_at(pulled, right.replace(f":{port}/", ":1/")).pull(date(2019, 2, 1))
    assert cluster.password(bank, "puller") not in str(away.value)
    with pytest.raises(ConfigError) as unreadable:
        received_at(pulled, "postgresql//puller:geheim@x").pull(date(2019, 2, 1))
    assert "geheim" not in str(unreadable.value)


def received_at(pulled: Received, address: str) -> Received:
    return Received(CONNECTOR, pulled.contract, {"dsn": address}, pulled.spool)


def test_a_server_that_dies_in_the_middle_of_a_slice_is_away_and_nothing_half_is_given(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that serves the COPY is killed (KILL); the server then ends all sessions and recovers."""
    pulled = received(bank, tmp_path, "payments.odd", {"watermark": "at", "rows": 1_000_000})
    execute(bank, "truncate payments.odd")
    execute(
        bank,
        "insert into payments.odd (id, at, text) select k, '2019-01-01', repeat(md5(k::text), 30) "
        "from generate_series(1, 15000) k",
    )
    take = _Slice.write

    def take_and_kill(self: _Slice, row: bytes) -> int:
        if self.lines.records == 50:
            serving = "select pid from pg_stat_activity where usename = 'puller' and query like 'copy%'"
            for (pid,) in query(bank, "payments", serving):
                os.kill(pid, signal.SIGKILL)
        return take(self, row)

    monkeypatch.setattr(_Slice, "write", take_and_kill)
    with pytest.raises(SourceUnavailable):
        pulled.pull(date(2019, 1, 2))
    monkeypatch.undo()
    assert pulled.parts == []
    wait_until_up(bank)
    execute(bank, "delete from payments.odd where id > 20")
    pulled.pull(date(2019, 1, 2))
    assert len(pulled.rows()) == 20


def wait_until_up(home: Path) -> None:
    for _ in range(600):
        try:
            query(home, "payments", "select 1")
            return
        except psycopg2.OperationalError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up again")


def test_a_slow_slice_is_given_up(bank: Path, tmp_path: Path) -> None:
    execute(
        bank,
        "create or replace view payments.slow as select *, pg_sleep(0.2)::text as slept from payments.payment; "
        "grant select on payments.slow to puller",
    )
    pulled = received(bank, tmp_path, "payments.slow", {"watermark": "booked_at", "key": ["payment_number"]})
    with pytest.raises(SourceUnavailable, match="statement timeout"):
        pulled.pull(date(2019, 4, 1), timeoutSeconds=0.5)


def kill_place(home: Path, folder: Path, name: str) -> Place:
    """A lakehouse with a feed of payments and one of a change log, sliced finely."""
    slices = {"watermark": "booked_at", "rows": 150}
    changes = {"changeLog": True, "filter": {"table_name": "loan"}, "rows": 4}
    feeds = [
        ("payments__payment", "payments.payment", slices, PAYMENT),
        ("core_bank__loan", "core_bank.change_log", changes, ("loan_number", "status", "_op")),
    ]
    documents = [
        contract_document(
            contract,
            columns,
            {"connection": contract.split("__")[0], "protocol": "jdbc", "path": path, "options": options},
        )
        for contract, path, options, columns in feeds
    ]
    return make_place(folder, documents, {database: dsn(home, database) for database in cluster.DATABASES}, name)


PULLS = [(day, task) for day in ("2019-03-01", "2019-04-05") for task in ("payments", "core_bank")]


def killed_pulls_land_what_undisturbed_ones_do(home: Path, folder: Path, kills: int, seed: int) -> int:
    """Pulls twice, undisturbed and with kills, and compares the rows of both feeds; returns the number of kills."""
    calm, killed = (kill_place(home, folder, name) for name in ("calm", "killed"))
    undisturbed = run_all(calm, PULLS)
    done = kill_and_finish(killed, PULLS, undisturbed, kills, seed)
    for contract in ("payments__payment", "core_bank__loan"):
        rows = landed_rows(calm, contract)
        assert rows
        assert landed_rows(killed, contract) == rows
    return done


def test_kills_leave_the_same_rows(bank: Path, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(bank, tmp_path, kills=3, seed=4) > 0
