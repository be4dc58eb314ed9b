"""A world as silver would hold it: the systems' own projections, renamed and typed by the contracts, without servers.

What a lakehouse gets of a world passes the systems: departments' numbers in place of the economy's, amounts in yuan,
late and wrong publications, lost messages, this bank's lending alone. `write` asks the same queries as those systems,
in one process, so that detectors are measured on what they will see. Nothing here reads a hidden column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.settings import PROJECT_DIR
from sources.systems.banking import core_bank
from sources.systems.banking import payments as payments_system
from sources.systems.clock import world_days
from sources.systems.field import evidence
from sources.systems.government import projection as government
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.industrial import topics
from sources.systems.projection import open_world

MEMORY_MB = 5000
# Contracts of feeds whose silver the detectors may read, by system.
GOVERNMENT = {
    "business_registry__enterprise": ("business_registry", "enterprises"),
    "business_registry__shareholder": ("business_registry", "shareholders"),
    "tax_returns__return": ("tax_returns", "returns"),
    "vat_invoices__invoice": ("vat_invoices", "invoices"),
    "social_insurance__contribution": ("social_insurance", "contributions"),
    "customs__declaration": ("customs", "declarations"),
    "electricity__daily_usage": ("electricity", "daily_usage"),
    "land__plot": ("land", "plots"),
    "movables_registry__receivable": ("movables_registry", "receivables"),
}
PAYMENTS = {
    "payments__account": "account", "payments__payment": "payment", "payments__pos_settlement": "pos_settlement",
    "payments__payroll_run": "payroll_run",
}  # fmt: skip
CORE_BANK = {
    "core_bank__customer_account": "customer_account", "core_bank__application": "application",
    "core_bank__loan": "loan", "core_bank__collateral": "collateral", "core_bank__guarantee": "guarantee",
}  # fmt: skip
PLATFORM = {
    "platform__member": "platform.members", "platform__machine": "platform.machines",
    "platform__production_day": "platform.production", "platform__order": "platform.orders",
    "platform__waybill": "platform.logistics", "platform__warehouse_receipt": "platform.warehouse-receipts",
    "platform__warehouse_sensor": "platform.warehouse-sensors",
}  # fmt: skip


def write(world: Path, out: Path, say: Callable[[str], None] = lambda text: None) -> None:
    """One Parquet file or folder a table of silver in `out`, named without its schema; files that are there stay."""
    out.mkdir(parents=True, exist_ok=True)
    known = contracts.load_all(PROJECT_DIR / "contracts")
    for make in (_of_government, _of_banking, _of_platform, _of_readings, _of_field, _of_identity):
        make(world, out, known)
        say(make.__name__)


def views(connection: duckdb.DuckDBPyConnection, folder: Path, known_by: date | None = None) -> dict[str, str]:
    """A view of every table that `write` left, or of what was known of it by a day; returns table → its view."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("_"):
            continue
        where = path / "*.parquet" if path.is_dir() else path
        cut = f"where known_at <= timestamp '{known_by}'" if known_by else ""
        connection.execute(f"create or replace view {path.stem} as select * from read_parquet('{where}') {cut}")
        found[f"silver.{path.stem}"] = path.stem
    return found


# The government's platform: logs of publications, as its systems load them


def _of_government(world: Path, out: Path, known: dict[str, Contract]) -> None:
    logs = out / "_government"
    if not (logs / "logs").exists():
        government.load_logs(logs, world)
    with duckdb.connect() as db:
        _settings(db)
        for contract_id, (department, name) in GOVERNMENT.items():
            contract = known[contract_id]
            target = _target(out, contract)
            if target.exists():
                continue
            dataset = next(s for d in DEPARTMENTS if d.name == department for s in d.datasets if s.name == name)
            sent = {field.name: field.sql for field in dataset.fields}
            own = {"record_id": f"'{dataset.prefix}' || printf('%015x', record)", "revision": "revision",
                   "published_at": "published_at"}  # fmt: skip
            cells = [
                f"{own.get(c.name) or _typed(sent[c.source_name], c)} AS {c.name}"
                for c in contract.columns
                if c.name in own or c.source_name in sent
            ]
            log = government.log_file(logs, department, name)
            _save(db, f"SELECT {', '.join(cells)}, revision::INT AS version_no, published_at AS known_at "
                      f"FROM read_parquet('{log}')", target)  # fmt: skip


def _typed(sql: str, column: contracts.Column) -> str:
    """A field as a department writes it, read as the contract's column."""
    if column.spark_type == "date":
        return re.sub(r"strftime\((.*), '[^']*'\)", r"(\1)::DATE", sql)
    value = f"({sql})"
    if column.codes:
        cases = " ".join(f"WHEN '{code}' THEN '{meaning}'" for code, meaning in column.codes.items())
        value = f"CASE {value}::VARCHAR {cases} ELSE {value}::VARCHAR END"
    if column.scale:
        value = f"({value} * {column.scale})"
    return f"({value})::{_duck(column.spark_type)}"


def _duck(spark_type: str) -> str:
    return {"string": "VARCHAR", "int": "INTEGER", "double": "DOUBLE"}.get(spark_type, spark_type.upper())


# The bank: payments by the day of booking, the core bank's change log


def _of_banking(world: Path, out: Path, known: dict[str, Contract]) -> None:
    first, last = world_days(world)
    for system, wanted in ((payments_system, PAYMENTS), (core_bank, CORE_BANK)):
        if all(_target(out, known[c], folder=True).exists() for c in wanted):
            continue
        db = open_world(world, MEMORY_MB, 1)
        system.prepare(db, world)
        for begin, end in _years(first, last):
            queries = system.select(db, begin, end)
            for contract_id, table in wanted.items():
                contract = known[contract_id]
                shown = db.sql(queries[table])
                named = _bank_names(contract, table, shown.columns)
                folder = _target(out, contract, folder=True)
                folder.mkdir(exist_ok=True)
                cells = ", ".join(f"{_scaled(at, column)} AS {column.name}" for at, column in named)
                moment = _told_at(system, table, shown.columns)
                _save(db, f"SELECT {cells}, \"{moment}\" AS known_at FROM ({queries[table]})",
                      folder / f"{begin:%Y}.parquet")  # fmt: skip
        db.close()
        for contract_id in wanted:
            _number(out, known[contract_id])


def _told_at(system: object, table: str, shown: list[str]) -> str:
    """The column that says when a row could be read."""
    if system is core_bank:
        return shown[-1]
    return "updated_at" if table == "account" else "booked_at"


def _bank_names(contract: Contract, table: str, shown: list[str]) -> list[tuple[str, contracts.Column]]:
    """Columns of a query by place: those of the loaded table, in the order of its declaration."""
    if table in core_bank.COLUMNS and contract.id.startswith("core_bank"):
        declared = core_bank.COLUMNS[table]
    else:
        declared = _declared("payments", table)
    by_name = {c.source_name: c for c in contract.columns}
    return [(at, by_name[name]) for name, at in zip(declared, shown, strict=True) if name in by_name]


def _declared(schema: str, table: str) -> list[str]:
    text = (PROJECT_DIR / "sources" / "systems" / "banking" / f"{schema}.sql").read_text()
    body = re.search(rf"create table {schema}\.{table} \((.*?)\n\);", text, re.S)
    assert body, table
    lines = [line.strip() for line in body[1].splitlines()]
    return [line.split()[0] for line in lines if line and line.split()[0] not in ("primary", "check", "check(")]


def _scaled(at: str, column: contracts.Column) -> str:
    value = f'("{at}" * {column.scale})' if column.scale else f'"{at}"'
    return f"{value}::{_duck(column.spark_type)}"


def _number(out: Path, contract: Contract) -> None:
    """Numbers the versions of each record in the order in which they were told."""
    folder = _target(out, contract, folder=True)
    assert contract.silver
    keys = ", ".join(contract.silver.keys)
    with duckdb.connect() as db:
        _settings(db)
        draft = folder.with_suffix(".draft")
        if len(contract.silver.keys) == 1 and contract.id in ("payments__payment", "payments__payroll_run"):
            number = "1::INT"
        else:
            number = f"(row_number() over (partition by {keys} order by known_at))::INT"
        _save(db, f"SELECT *, {number} AS version_no FROM read_parquet('{folder}/*.parquet')", draft)
        for part in folder.glob("*.parquet"):
            part.unlink()
        draft.rename(folder / "all.parquet")


# The platform: messages as they arrive


def _of_platform(world: Path, out: Path, known: dict[str, Contract]) -> None:
    first, last = world_days(world)
    db = open_world(world, MEMORY_MB, 1)
    topics.prepare(db, world)
    for contract_id, name in PLATFORM.items():
        contract = known[contract_id]
        target = _target(out, contract)
        if target.exists():
            continue
        topic = next(t for t in topics.TOPICS if t.name == name)
        parts = out / f"_{contract_id}"
        parts.mkdir(exist_ok=True)
        cells = ", ".join(_told(c) for c in contract.columns if not c.is_transport)
        for begin, end in _years(first, last):
            query = topics.arrivals(topic, world, begin, end)
            _save(db, f"SELECT {cells}, received_at AS known_at FROM ({query})", parts / f"{begin:%Y}.parquet")
        assert contract.silver
        keys, facts = contract.silver.keys, [c.name for c in contract.columns if not c.is_transport]
        by_key = ", ".join(keys)
        carried = [f for f in facts if f not in keys and f not in ("event_id", "event_type", "event_at")]
        order = f"partition by {by_key} order by event_at, known_at rows unbounded preceding"
        kept = f"* replace ({', '.join(f'last_value({c} ignore nulls) over ({order}) AS {c}' for c in carried)})"
        _save(db, f"""
            WITH once AS (SELECT * FROM read_parquet('{parts}/*.parquet')
                          QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY known_at) = 1)
            SELECT {kept if contract.silver.carry else "*"},
                (row_number() OVER (PARTITION BY {by_key} ORDER BY event_at, known_at))::INT AS version_no
            FROM once""", target)  # fmt: skip
    db.close()


def _told(column: contracts.Column) -> str:
    """A value of a message by its path, typed."""
    text = f"json_extract_string(value, '$.{column.source_name}')"
    if column.spark_type == "timestamp":
        return f"(left({text}, 19))::TIMESTAMP AS {column.name}"
    value = f"({text}::DOUBLE * {column.scale})" if column.scale else text
    return f"{value}::{_duck(column.spark_type)} AS {column.name}"


def _of_readings(world: Path, out: Path, known: dict[str, Contract]) -> None:
    """`silver.equipment_reading`, hour by hour; lost blocks and wrong clocks are left out of this rehearsal."""
    folder = out / "equipment_reading"
    if folder.exists():
        return
    folder.mkdir()
    db = open_world(world, MEMORY_MB, 1)
    topics.prepare(db, world)
    for begin, end in _years(*world_days(world)):
        _save(db, f"""
            SELECT lower(to_hex(whole(machine || '|' || time_bucket(interval 6 hours, hour_at)))) AS event_id,
                hour_at AS read_at, machine AS machine_id, running_minutes::INT AS running_minutes,
                output_units::BIGINT AS output_units, energy_kwh::DECIMAL(18,3) AS energy_kwh, 1 AS version_no,
                time_bucket(interval 6 hours, hour_at) + interval 6 hours AS known_at
            FROM equipment_hour JOIN connected USING (equipment_id)
            WHERE hour_at >= DATE '{begin}' AND hour_at < DATE '{end}' + 1""",
            folder / f"{begin:%Y}.parquet")  # fmt: skip
    db.close()


# Field evidence: visits as written up, statements as tables and as PDFs, field statistics


def _of_field(world: Path, out: Path, known: dict[str, Contract]) -> None:
    if (out / "plot_observation.parquet").exists():
        return
    first, last = world_days(world)
    db = open_world(world, MEMORY_MB, 1)
    evidence.prepare(db, world)
    rows = [json.loads(evidence.visit_report(row)) for row in evidence._rows(db, evidence._visits(first, last))]
    visits = [
        {
            "visit_number": row["visit_number"],
            "client_name": row["client"]["name"],
            "client_number": row["client"].get("number"),
            "visited_on": date.fromisoformat(row["visited_on"].replace("/", "-")),
            "reported_on": date.fromisoformat(row["reported_on"]),
            **{n: row.get(n) for n in ("staff_seen", "stock_seen_units", "machines_running", "machines_seen")},
            "confidence": row.get("confidence"),
            "note": row.get("note"),
        }
        for row in rows
    ]
    db.register("visits", pa.Table.from_pylist(visits))
    known_at = "({} + 1)::TIMESTAMP AS known_at, 1 AS version_no"
    _save(db, f"SELECT *, {known_at.format('reported_on')} FROM visits", out / "field_visit.parquet")
    handed = db.sql(evidence._statements(first, last)).to_arrow_table()
    db.register("handed", handed)
    named = {"revenue": "revenue_cny", "cost": "cost_of_sales_cny", "profit": "net_profit_cny", "cash": "cash_cny",
             "receivable": "receivables_cny", "stock": "inventories_cny", "fixed_assets": "fixed_assets_cny",
             "payable": "payables_cny", "bank_debt": "bank_loans_cny", "other_debt": "other_debt_cny",
             "equity": "equity_cny"}  # fmt: skip
    amounts = ", ".join(f"({item}_fen / 100)::DECIMAL(18,2) AS {name}" for item, name in named.items())
    _save(db, f"""SELECT document_number AS document_name, arrives_on AS handed_in_on, uscc, name,
        year::INT AS fiscal_year, audited AS is_audited, {amounts}, {known_at.format("arrives_on")}
        FROM handed""", out / "financial_statement.parquet")  # fmt: skip
    scenes = " UNION ALL ".join(f"({evidence._scenes(begin, end).replace('order by plot_number', '')})"
                                for begin, end in _years(first, last))  # fmt: skip
    _save(db, f"""SELECT plot_number, observed_on, sensed_area_mu::DECIMAL(12,2) AS sensed_area_mu,
        vegetation_index::DECIMAL(9,4) AS vegetation_index, cloud_ratio::DECIMAL(9,4) AS cloud_ratio, crop_guess,
        arrives_on::TIMESTAMP AS known_at, 1 AS version_no
        FROM (SELECT * REPLACE (if(isnan(sensed_area_mu), null, sensed_area_mu) AS sensed_area_mu,
              if(isnan(vegetation_index), null, vegetation_index) AS vegetation_index) FROM ({scenes}))""",
          out / "plot_observation.parquet")  # fmt: skip
    db.close()


# Who is who, by the project's own ledger of identity


def _of_identity(world: Path, out: Path, known: dict[str, Contract]) -> None:
    if (out / "enterprise_key.parquet").exists():
        return
    from spark_jobs.identity import ledger
    from tests.grader.identity_world import shown

    told = shown(world)
    pq.write_table(ledger.build(told.rows, told.changes).key, out / "enterprise_key.parquet")


# Tools


def _target(out: Path, contract: Contract, folder: bool = False) -> Path:
    assert contract.silver
    name = contract.silver.table.partition(".")[2]
    return out / name if folder else out / f"{name}.parquet"


def _years(first: date, last: date) -> Iterator[tuple[date, date]]:
    begin = first
    while begin <= last:
        end = min(last, date(begin.year, 12, 31))
        yield begin, end
        begin = end + timedelta(days=1)


def _settings(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"SET threads = 1; SET memory_limit = '{MEMORY_MB}MB'; SET enable_progress_bar = false")
    db.execute("SET TimeZone = 'Asia/Shanghai'")


def _save(db: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    draft = target.with_suffix(".part")
    db.execute(f"COPY ({query}) TO '{draft}' (FORMAT parquet, COMPRESSION zstd)")
    draft.rename(target)
