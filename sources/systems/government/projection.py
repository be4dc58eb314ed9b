"""Projects a world's tables into what each department published when: one sorted log of publications a dataset.

Each row of a log is one publication: record number, revision, time of publication, and the columns the department's
fields use. Logs are sorted by (published_at, record), so that a page is a short read and a cursor never moves.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sources.economy.schema import FIRST_BANK, GOVERNMENT, HOUSEHOLDS, PRIVATE_LENDERS, REST_OF_WORLD
from sources.systems import keys
from sources.systems.clock import world_days
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.events import changes_of
from sources.systems.government.model import Dataset, Department, Lag
from sources.systems.world import connect, define_views, files, world_seed

ROW_GROUP = 20_000
# Parties that are no firms, as they stand in court files; banks bear the code that they have at the bureau.
SECTORS = {HOUSEHOLDS: "自然人", GOVERNMENT: "行政机关", REST_OF_WORLD: "境外企业", PRIVATE_LENDERS: "自然人"}
META = ("record", "revision", "published_at")
LOAD_MEMORY_MB = 4000  # sorting the invoices of 3,000 firms and five years fails below 2 GB, also when it may spill


def log_file(folder: Path, department: str, dataset: str) -> Path:
    """The log of publications of a dataset."""
    return folder / "logs" / f"{department}.{dataset}.parquet"


def load_logs(folder: Path, world: Path) -> dict[str, int]:
    """Writes every dataset's log; returns their numbers of rows."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    database = connect(LOAD_MEMORY_MB, spill=folder)
    database.execute("SET preserve_insertion_order = false")  # every log is sorted as it is written
    seed, (first_day, _) = world_seed(world), world_days(world)
    define_views(database, world)
    _helper_tables(database, world, seed)
    rows = {}
    for department in DEPARTMENTS:
        for dataset in department.datasets:
            target = log_file(folder, department.name, dataset.name)
            _write_log(database, department, dataset, seed, first_day, target)
            counted = database.execute(f"SELECT count(*) FROM read_parquet('{target}')").fetchone()
            rows[f"{department.name}.{dataset.name}"] = counted[0] if counted else 0
    database.close()
    return rows


# Helper tables: parties, department keys, states of enterprises


def _helper_tables(database: duckdb.DuckDBPyConnection, world: Path, seed: int) -> None:
    database.execute("""
        CREATE TABLE party AS
        SELECT firm_id AS party_id, uscc, tax_number, name FROM firm
        UNION ALL SELECT party_id, uscc, uscc, name FROM outside_party""")
    banks = [(FIRST_BANK - number, f"银行B{number:02d}") for number in range(100)]
    database.executemany("INSERT INTO party VALUES (?, NULL, NULL, ?)", [*SECTORS.items(), *banks])
    _held_table(database, world, seed)
    _enterprise_states(database)
    _row_keys(database, "order_key", "order", "PO", "SELECT DISTINCT order_id FROM invoice", seed)
    _row_keys(database, "plot_key", "plot", "DK", "SELECT DISTINCT plot_id FROM land_plot", seed)
    database.execute("""
        CREATE TABLE invoice_party AS
        SELECT p.*, h.key AS held_key, h.key IS NOT NULL AS known FROM party p
        LEFT JOIN (SELECT DISTINCT firm_id, key FROM held WHERE department = 'vat_invoices' AND first_key) h
            ON h.firm_id = p.party_id""")


def _row_keys(database, table: str, kind: str, prefix: str, query: str, seed: int) -> None:
    """A table id → number as all systems write it."""
    ids = database.execute(query).fetchnumpy()
    column = np.ma.compressed(next(iter(ids.values()))) if ids else np.array([], np.int64)
    made = pa.table({"id": column.astype(np.int64), "number": keys.row_keys(kind, column, seed, prefix)})
    database.register("made_keys", made)
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM made_keys")
    database.unregister("made_keys")


def _held_table(database: duckdb.DuckDBPyConnection, world: Path, seed: int) -> None:
    """How each department knows each firm: key, and name and code in each span of days.

    From the world's `department_subject` where that has rows of the department; else the firms of the region under
    keys of our own, with the registered name.
    """
    database.execute("""
        CREATE TABLE held_spans (department VARCHAR, firm_id INTEGER, key VARCHAR, name VARCHAR, uscc VARCHAR,
            registration_number VARCHAR, address VARCHAR, phone VARCHAR, from_on DATE, to_on DATE)""")
    columns = "department, firm_id, key, name, uscc, registration_number, address, phone, from_on, to_on"
    if found := files(world, "department_subject"):
        database.execute(f"INSERT INTO held_spans SELECT {columns} FROM read_parquet('{found}')")
    given = {row[0] for row in database.execute("SELECT DISTINCT department FROM held_spans").fetchall()}
    ring = keys.KeyRing.of(world, seed)
    firms = np.array([row[0] for row in database.execute("SELECT firm_id FROM firm WHERE in_region").fetchall()])
    for department in DEPARTMENTS:
        if department.name in given or not len(firms):
            continue
        own = pa.table({"id": firms, "key": ring.keys(department.system, department.name, firms)})
        database.register("own", own)
        exact = "tax_number" if department.name in ("tax_returns", "vat_invoices") else "own.key"
        database.execute(f"""
            INSERT INTO held_spans
            SELECT '{department.name}', firm_id, {exact}, name, uscc, registration_number, address, phone,
                   founded_on, NULL
            FROM firm JOIN own ON own.id = firm_id""")
        database.unregister("own")
    database.execute("""
        CREATE TABLE held AS
        SELECT *, key = min(key) OVER (PARTITION BY department, firm_id) AS first_key,
               CASE WHEN row_number() OVER spans = 1 THEN DATE '1900-01-01' ELSE from_on END AS since,
               coalesce(lead(from_on) OVER spans, DATE '9999-01-01') AS until
        FROM held_spans WINDOW spans AS (PARTITION BY department, key ORDER BY from_on)""")


def _enterprise_states(database: duckdb.DuckDBPyConnection) -> None:
    """One row an enterprise and state: founding, each change of name, address or legal person, closure."""
    database.execute("""
        CREATE VIEW enterprise_state AS
        WITH events AS (
            SELECT firm_id, founded_on AS event_on, name, address, legal_person_id, NULL::DATE AS closed_on FROM firm
            UNION ALL
            SELECT firm_id, changed_on, CASE WHEN kind LIKE 'rename%' THEN new_value END,
                   CASE WHEN kind LIKE 'move%' THEN new_value END,
                   CASE WHEN kind LIKE '%legal%' THEN try_cast(new_value AS INTEGER) END, NULL
            FROM firm_change WHERE kind LIKE 'rename%' OR kind LIKE 'move%' OR kind LIKE '%legal%'
            UNION ALL
            SELECT firm_id, closed_on, NULL, NULL, NULL, closed_on FROM firm WHERE closed_on IS NOT NULL
        ), filled AS (
            SELECT firm_id AS subject, event_on,
                   last_value(name IGNORE NULLS) OVER so_far AS name,
                   last_value(address IGNORE NULLS) OVER so_far AS address,
                   last_value(legal_person_id IGNORE NULLS) OVER so_far AS person_id,
                   last_value(closed_on IGNORE NULLS) OVER so_far AS closed_on
            FROM events WINDOW so_far AS (PARTITION BY firm_id ORDER BY event_on, closed_on NULLS FIRST
                                          ROWS UNBOUNDED PRECEDING)
        )
        SELECT s.*, f.uscc, f.registration_number, f.kind, f.industry_code, f.region_code, f.phone, f.capital_fen,
               f.founded_on, p.name AS legal_person_name, p.id_number AS legal_person_number,
               CASE WHEN s.closed_on IS NULL THEN 'open' ELSE 'closed' END AS state
        FROM filled s JOIN firm f ON f.firm_id = s.subject LEFT JOIN person p ON p.person_id = s.person_id""")


# The log of one dataset


def _write_log(database, department: Department, dataset: Dataset, seed: int, first_day: date, target: Path) -> None:
    source = _with_subject(department, dataset)
    names = (*dataset.key, "subject_key") if dataset.split else dataset.key
    key = ", ".join(f"{column}::VARCHAR" for column in names)
    # Sixty bits of a digest of the record's key: stable, unique in practice, and it tells nothing.
    record = f"md5_number_lower(concat_ws('|', '{seed}', '{department.name}.{dataset.name}', {key})) >> 4"
    states = _states(f"(SELECT *, {record} AS record FROM ({source}))", dataset)
    columns = _used_columns(database, states, department.name, dataset)
    draft = target.with_suffix(".draft")
    database.execute(f"""
        COPY ({_published(states, columns, dataset, first_day)} ORDER BY published_at, record, revision)
        TO '{draft}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})""")
    draft.replace(target)


def _with_subject(department: Department, dataset: Dataset) -> str:
    """The dataset's query with the department's key for its firm; amounts to split are shared out among its keys."""
    if dataset.subject is None:
        return dataset.sql
    held = f"""
        SELECT firm_id, key, row_number() OVER firm_keys AS key_number,
               count(*) OVER (PARTITION BY firm_id) AS key_count
        FROM (SELECT DISTINCT firm_id, key FROM held WHERE department = '{department.name}')
        WINDOW firm_keys AS (PARTITION BY firm_id ORDER BY key)"""
    shares = ", ".join(f"{_share(column)} AS {column}" for column in dataset.split)
    replaced = f"REPLACE ({shares})" if shares else ""
    first_only = "" if dataset.split else "AND h.key_number = 1"
    return f"""
        SELECT s.* {replaced}, h.key AS subject_key
        FROM ({dataset.sql}) s JOIN ({held}) h ON h.firm_id = s.{dataset.subject} {first_only}"""


def _share(column: str) -> str:
    """What falls on one of several keys: a quarter on each further one, the rest on the first, nothing lost."""
    part = f"(s.{column} * 0.25)::FLOAT" if _cast(column) == "FLOAT" else f"(s.{column} // 4)"
    return f"CASE WHEN h.key_number > 1 THEN {part} ELSE s.{column} - (h.key_count - 1) * {part} END"


def _states(source: str, dataset: Dataset) -> str:
    """One row a state of a record; columns that a later stage reveals are null before it."""
    if dataset.states or not dataset.stages:
        return f"SELECT *, event_on AS state_on FROM {source}"
    # `greatest` passes over null, and a stage that never comes must not begin with the record.
    begins = {
        stage.on: f"CASE WHEN {stage.on} IS NOT NULL THEN greatest({stage.on}, event_on) END"
        for stage in dataset.stages
    }
    parts = []
    for at in ("event_on", *begins.values()):
        hidden = [
            f"CASE WHEN {begins[stage.on]} <= {at} THEN {column} END AS {column}"
            for stage in dataset.stages
            for column in stage.reveals
        ]
        shown = ", ".join(hidden)
        parts.append(f"SELECT * REPLACE ({shown}), {at} AS state_on FROM {source} WHERE {at} IS NOT NULL")
    return " UNION ALL ".join(parts)


def _used_columns(database, states: str, department: str, dataset: Dataset) -> list[str]:
    """The columns that any version of the dataset's fields uses, and the department's key; nothing else is kept."""
    fields = [*dataset.fields]
    for change in changes_of(department, dataset.name):
        fields += [*change.replaces.values(), *change.adds]
    words = set(re.findall(r"[a-z_0-9]+", " ".join(field.sql for field in fields))) | {"subject_key"}
    return [row[0] for row in database.execute(f"DESCRIBE {states}").fetchall() if row[0] in words]


def _published(states: str, columns: list[str], dataset: Dataset, first_day: date) -> str:
    """Adds day of publication, mistakes with their corrections, and the number of the revision."""
    kept = ", ".join(["record", *columns])
    dated = f"SELECT *, {_publication(dataset.lag, first_day)} AS out_on FROM ({states})"
    if dataset.states or dataset.stages:
        # A later state is never published before an earlier one; of two on one day only the later is seen.
        dated = f"""
            SELECT * REPLACE (max(out_on) OVER (PARTITION BY record ORDER BY state_on
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS out_on) FROM ({dated})"""
        dated = f"""
            SELECT * FROM ({dated})
            QUALIFY row_number() OVER (PARTITION BY record, out_on ORDER BY state_on DESC) = 1"""
    corrected = _with_mistakes(dated, dataset)
    return f"""
        SELECT {kept}, out_on::TIMESTAMP + INTERVAL 6 HOUR + to_seconds((record % 7200)::INTEGER) AS published_at,
               row_number() OVER (PARTITION BY record ORDER BY out_on)::INTEGER AS revision
        FROM ({corrected})"""


def _chance(salt: int) -> str:
    """A number in [0, 1) that belongs to the record under a salt."""
    return f"(((record % 1000003) * {48_271 + 2 * salt} + {salt}) % 99991) / 99991.0"


def _publication(lag: Lag, first_day: date) -> str:
    """The day of publication; what was published before the world's first day stands on that day."""
    days = f"{lag.least} + floor({_chance(1)} * {lag.spread + 1})::INTEGER"
    if lag.late_share:
        late = f"1 + floor({_chance(2)} * {lag.late_days})::INTEGER"
        days += f" + CASE WHEN {_chance(3)} < {lag.late_share} THEN {late} ELSE 0 END"
    day = f"(state_on + {days})"
    if lag.batch_day:
        this_month = f"(date_trunc('month', {day})::DATE + {lag.batch_day - 1})"
        next_month = f"((date_trunc('month', {day}) + INTERVAL 1 MONTH)::DATE + {lag.batch_day - 1})"
        day = f"CASE WHEN {day} <= {this_month} THEN {this_month} ELSE {next_month} END"
    return f"greatest({day}, DATE '{first_day}')"


def _with_mistakes(dated: str, dataset: Dataset) -> str:
    """The chosen records are wrong in one column until their correction, which is a publication of its own."""
    mistake = dataset.mistake
    if mistake is None:
        return dated
    low, high = mistake.after
    wrong = f"{_chance(4)} < {mistake.share}"
    mended_on = f"min(out_on) OVER (PARTITION BY record) + {low} + floor({_chance(5)} * {high - low})::INTEGER"
    column = mistake.column
    return f"""
        WITH dated AS ({dated}), wrong AS (SELECT *, {mended_on} AS mended_on FROM dated WHERE {wrong})
        SELECT * FROM dated WHERE NOT ({wrong})
        UNION ALL
        SELECT * EXCLUDE (mended_on) REPLACE (CASE WHEN out_on < mended_on
            THEN try_cast({column} * {mistake.factor} AS {_cast(column)}) ELSE {column} END AS {column}) FROM wrong
        UNION ALL
        SELECT * EXCLUDE (mended_on) REPLACE (mended_on AS out_on) FROM wrong
        WHERE out_on < mended_on
        QUALIFY row_number() OVER (PARTITION BY record ORDER BY out_on DESC) = 1
            AND NOT bool_or(out_on = mended_on) OVER (PARTITION BY record)"""


def _cast(column: str) -> str:
    return "FLOAT" if column.endswith(("_kwh", "_m3", "_kg")) else "BIGINT" if column.endswith("_fen") else "INTEGER"
