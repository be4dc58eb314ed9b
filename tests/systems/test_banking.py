"""The bank's databases, as clients other than ours see them, against the small world's tables."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import advance_and_die, listens_on, own_ports, secrets_in
from small_world import write_small_world

from sources.economy.schema import FIRST_BANK, GOVERNMENT, HOUSEHOLDS, OUTSIDE, PRIVATE_LENDERS, TABLES
from sources.systems import banking
from sources.systems.banking import cluster, payments
from sources.systems.clock import world_days
from sources.systems.process import Process, wait_gone

pytestmark = pytest.mark.services
DAYS = 420
UNTIL = date(2019, 6, 30)
MISTAKE = "重复记账冲正"
REFERENCES = {"customer": "customer_number", "loan": "loan_number", "application": "application_number"}


def table_rows(world: Path, name: str) -> list[dict]:
    return pq.read_table(world / f"{name}.parquet").to_pylist()


def add_sector_payments(world: Path) -> None:
    """Adds payments of every kind of party to the small world's: some four thousand, spread over its days."""
    rows = table_rows(world, "payment")
    firms = [row["firm_id"] for row in table_rows(world, "firm")][4:]
    start, _ = world_days(world)
    kinds = [(HOUSEHOLDS, "wage"), (HOUSEHOLDS, "dividend"), (GOVERNMENT, "tax"), (FIRST_BANK, "interest")]
    kinds += [(PRIVATE_LENDERS, "private_interest"), (OUTSIDE + 1, "goods"), (FIRST_BANK - 2, "principal")]
    for number in range(4000):
        payee, purpose = kinds[number % len(kinds)]
        paid = datetime(start.year, start.month, start.day, 10) + timedelta(hours=(number * 5) % ((DAYS - 30) * 24))
        row = dict.fromkeys(rows[0]) | {"payment_id": 88_000_900_000 + number, "payer_id": firms[number % len(firms)]}
        row |= {"payee_id": payee, "purpose": purpose, "channel": "transfer", "paid_at": paid}
        rows.append(row | {"amount_fen": 1_000_000 + number})
    pq.write_table(pa.Table.from_pylist(rows, TABLES["payment"].schema), world / "payment.parquet")
    eve = start - timedelta(days=1)
    held = [{"day": eve, "firm_id": firm, "cash_fen": 400_000_000 + k} for k, firm in enumerate(firms)]
    held += [{"day": start, "firm_id": firm, "cash_fen": 1} for firm in firms]  # of which nothing may show
    pq.write_table(pa.Table.from_pylist(held, TABLES["firm_day"].schema), world / "firm_day.parquet")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_small_world(tmp_path_factory.mktemp("world"), days=DAYS)
    add_sector_payments(folder)
    return folder


@pytest.fixture(scope="module")
def ports() -> Iterator[None]:
    with own_ports("banking_port"):
        yield


@pytest.fixture(scope="module")
def at_once(world: Path, ports: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """All rows of both databases, loaded to the world's end in one go."""
    home = tmp_path_factory.mktemp("once")
    with served(home, world):
        banking.advance(home, world, world_days(world)[1])
        return dump(home)


@pytest.fixture
def server(world: Path, ports: None, tmp_path: Path) -> Iterator[Path]:
    with served(tmp_path, world):
        yield tmp_path


class served:
    """Runs the server of a fresh home for the length of a block, and sees that nothing of it stays."""

    def __init__(self, home: Path, world: Path) -> None:
        banking.load(home, world)
        self.process: Process = banking.processes(home, world)[0]

    def __enter__(self) -> Process:
        self.process.start()
        return self.process

    def __exit__(self, *_: object) -> None:
        running = self.process.running()
        family = [running, *running.children(recursive=True)] if running else []
        self.process.stop()
        assert not wait_gone(family, 5)


def query(home: Path, database: str, statement: str) -> list[tuple]:
    with cluster.connect(home, database, "puller") as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def dump(home: Path) -> dict[str, list]:
    """Every row of every table that the puller may read."""
    found = {}
    for database in cluster.DATABASES:
        names = query(home, database, f"select tablename from pg_tables where schemaname = '{database}' order by 1")
        for (name,) in names:
            rows = query(home, database, f'select t.*::text from {database}."{name}" t order by 1')
            found[f"{database}.{name}"] = [text for (text,) in rows]
    return found


def test_every_payment_is_booked_once_on_or_after_its_value_date(world: Path, server: Path) -> None:
    banking.advance(server, world, UNTIL)
    columns = "paid_at, amount_fen, value_date, booked_at, payment_number, reverses_number, remark"
    shown = query(server, "payments", f"select {columns} from payments.payment")
    assert all(row[2] == row[0].date() and row[3] >= row[0] for row in shown)
    assert max(row[3] for row in shown).date() <= UNTIL
    # The bank's own mistakes: a second booking, and the reversal that names it.
    undone = {row[5] for row in shown if row[6] == MISTAKE}
    rows = [row for row in shown if row[6] != MISTAKE and row[4] not in undone]
    booked = {row[:2] for row in rows}
    recent = [row for row in rows if row[3].date() >= UNTIL - timedelta(days=payments.REVERSAL_DAYS)]
    assert len(rows) - len(booked) <= len(recent) * payments.DOUBLED_RATIO * 5  # not undone yet
    known = {(row["paid_at"], row["amount_fen"]) for row in table_rows(world, "payment")}
    assert booked <= known
    missing = {pair for pair in known - booked if pair[0].date() <= UNTIL}
    assert all(paid_at.date() > UNTIL - timedelta(days=payments.LATE_DAYS + 1) for paid_at, _ in missing)


def test_late_bookings_have_the_declared_share_and_reversals_name_what_they_undo(at_once: dict, world: Path) -> None:
    rows = {row[0]: row for row in parsed(at_once["payments.payment"])}
    late = [row for row in rows.values() if date.fromisoformat(row[6][:10]) > date.fromisoformat(row[4])]
    assert payments.LATE_SHARE / 2 < len(late) / len(rows) < payments.LATE_SHARE * 2
    reversals = [row for row in rows.values() if row[11]]
    mistakes = [row for row in reversals if row[9] == MISTAKE]
    assert len(reversals) - len(mistakes) == sum(row["reverses_id"] is not None for row in table_rows(world, "payment"))
    assert len(mistakes) == pytest.approx(len(rows) * payments.DOUBLED_RATIO, rel=0.8)
    for reversal in reversals:
        undone = rows[reversal[11]]
        assert (undone[1], undone[2], undone[3]) == (reversal[2], reversal[1], reversal[3])
        assert undone[6] < reversal[6]


def parsed(rows: list[str]) -> list[list[str]]:
    """Fields of rows in PostgreSQL's text form; no value of these tables holds a comma or quote inside."""
    return [[field.strip('"') for field in row.strip("()").split(",")] for row in rows]


def test_debits_equal_credits_on_every_day_and_come_from_the_payments(world: Path, server: Path) -> None:
    banking.advance(server, world, UNTIL)
    days = query(
        server,
        "payments",
        "select day, sum(debit_fen), sum(credit_fen) from payments.account_day group by 1 order by 1",
    )
    assert days
    assert all(debit == credit for _, debit, credit in days)
    by_booking = "select booked_at::date, sum(amount_fen) from payments.payment group by 1 order by 1"
    assert [(day, debit) for day, debit, _ in days] == query(server, "payments", by_booking)


def test_balances_go_on_from_what_was_carried_over(world: Path, server: Path) -> None:
    last = world_days(world)[1]
    banking.advance(server, world, last)
    newest = """select distinct on (account_number) certificate_number, balance_fen from payments.account_balance
        join payments.account using (account_number) order by account_number, day desc"""
    codes = {row["firm_id"]: row["uscc"] for row in table_rows(world, "firm")}
    eve = {row["firm_id"]: row["cash_fen"] for row in table_rows(world, "firm_day") if row["cash_fen"] != 1}
    shown = dict(query(server, "payments", newest))
    assert len(shown) == len(codes)
    booked = set(query(server, "payments", "select paid_at, amount_fen from payments.payment"))
    rows = table_rows(world, "payment")
    for firm, code in codes.items():
        balance = eve.get(firm, 0)
        for row in rows:
            if (row["paid_at"], row["amount_fen"]) in booked:
                balance += row["amount_fen"] * ((row["payee_id"] == firm) - (row["payer_id"] == firm))
        assert shown[code] == balance


def test_small_steps_and_one_leap_give_the_same_rows(world: Path, server: Path, at_once: dict) -> None:
    first, last = world_days(world)
    for until in (first, first + timedelta(days=1), first + timedelta(days=44), date(2019, 12, 31), last, last):
        banking.advance(server, world, until)
    assert dump(server) == at_once


def test_a_killed_loader_leaves_whole_spans_and_the_next_one_completes_them(
    world: Path, server: Path, at_once: dict
) -> None:
    last = world_days(world)[1]
    # In the middle of the fourth month of the payments.
    calls = 3 * len(payments.TABLES) + 2
    advance_and_die("banking", server, world, last, "sources.systems.banking.loader._copy", calls)
    with cluster.connect(server, "payments") as connection, connection.cursor() as cursor:
        cursor.execute(
            "select (select loaded_through from loading.progress), max(booked_at)::date from payments.payment"
        )
        through, newest = cursor.fetchone()
    assert (through, newest) == (date(2019, 3, 31), date(2019, 3, 31))
    banking.advance(server, world, last)
    assert dump(server) == at_once


def test_only_this_banks_loans_show_and_only_what_is_known_by_the_day(world: Path, server: Path) -> None:
    banking.advance(server, world, UNTIL)
    loans = query(server, "core_bank", "select started_on, principal_fen, closed_on, status from core_bank.loan")
    expected = [row for row in table_rows(world, "loan") if row["bank_id"] == FIRST_BANK and row["started_on"] <= UNTIL]
    assert sorted(row[:2] for row in loans) == sorted((row["started_on"], row["principal_fen"]) for row in expected)
    assert expected
    for _, _, closed_on, status in loans:
        assert (closed_on is None) == (status == "open")
        assert closed_on is None or closed_on <= UNTIL
    early = (
        "select count(*) from core_bank.application where decided_on > %r or (decided_on is null) <> (decision is null)"
    )
    assert query(server, "core_bank", early % str(UNTIL)) == [(0,)]
    shown = query(server, "core_bank", "select count(*), sum(principal_fen) from core_bank.repayment")
    ours = {row["loan_id"] for row in expected}
    paid = [r for r in table_rows(world, "loan_repayment") if r["loan_id"] in ours and r["paid_on"] <= UNTIL]
    assert shown == [(len(paid), sum(row["principal_fen"] for row in paid))]


def test_the_change_log_replays_to_the_tables(world: Path, server: Path) -> None:
    banking.advance(server, world, world_days(world)[1])
    log = query(
        server, "core_bank", 'select change_id, table_name, op, row_key, changed_at, "row" from core_bank.change_log'
    )
    log.sort()
    assert [row[0] for row in log] == list(range(1, len(log) + 1))
    assert [row[4] for row in log] == sorted(row[4] for row in log)
    state: dict[tuple[str, str], dict] = {}
    for _, table, op, key, _, row in log:
        assert (op == "U") == ((table, key) in state)
        for owner, name in REFERENCES.items():
            assert row.get(name) is None or (owner, row[name]) in state or (owner, row[name]) == (table, key)
        state[table, key] = row
    assert any(op == "U" for _, _, op, *_ in log)
    for table in {table for table, _ in state}:
        held = query(server, "core_bank", f"select to_jsonb(t) - 'updated_at' from core_bank.{table} t")
        replayed = [row for (name, _), row in state.items() if name == table]
        assert sorted(map(str, replayed)) == sorted(str(row) for (row,) in held)


def test_nothing_of_the_truth_shows(at_once: dict) -> None:
    assert all(at_once.values()), [name for name, rows in at_once.items() if not rows]
    assert secrets_in("\n".join(row for rows in at_once.values() for row in rows)) == set()
    names = {"7310017", "666001", "88000900017"}
    assert secrets_in(" ".join(names)) == names  # the search itself finds what it should


def test_private_lending_looks_like_any_transfer_to_a_person(at_once: dict) -> None:
    rows = parsed(at_once["payments.payment"])
    kinds = {row[0]: row[1] for row in parsed(at_once["payments.account"])}
    to_persons = [row for row in rows if kinds[row[2]] == "person"]
    assert {row[8] for row in to_persons} == {"transfer"}
    assert {row[8] for row in rows if kinds[row[2]] == "clearing"} == {"wage"}
    assert not any("private" in row[8] for row in rows)


def test_the_puller_reads_and_cannot_write_nor_see_the_loading(world: Path, server: Path) -> None:
    banking.advance(server, world, date(2019, 1, 31))
    for statement in (
        "delete from payments.payment",
        "set default_transaction_read_only = off; insert into payments.account_day values ('x', now(), 0, 0, 0, 0)",
        "select * from loading.progress",
    ):
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)):
            query(server, "payments", statement)
    assert cluster.password(server, "puller") != cluster.password(server, "loader")
    assert cluster.secrets_file(server).stat().st_mode & 0o077 == 0


def test_psql_reads_it_and_the_server_listens_on_loopback_only(world: Path, server: Path) -> None:
    banking.advance(server, world, date(2019, 2, 28))
    psql = cluster._binary("psql")
    statement = "select count(*) from payments.payment where booked_at > timestamp '2019-01-31'"
    done = subprocess.run(
        [psql, cluster.address("payments"), "-X", "-A", "-t", "-c", statement],
        env={**os.environ, "PGPASSWORD": cluster.password(server, "puller")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [(int(done.stdout),)] == query(server, "payments", statement)
    assert int(done.stdout) > 0
    assert listens_on(banking.processes(server, world)[0].running()) == {"127.0.0.1"}
