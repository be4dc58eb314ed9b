"""What arrives in the drop folder on which day, and how it is written: visits, owners' documents, field statistics."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import defaultdict
from pathlib import Path

import duckdb

from sources.systems.field import documents
from sources.systems.projection import first_day, make_subjects

REPORT_DAYS = 3  # a visit is written up within this
LEASE_DAYS = 45  # a lease is handed in within this after the machine came, or after the world began
SCENE_DAYS = (2, 6)  # from the satellite's pass to the statistics
TABLE_RATIO = 0.25  # of statements come as CSV, the others as PDF
MISSING_RATIO = 0.12  # of a visit's observations were not noted
NUMBER_MISSING_RATIO = 0.3  # of visits name the client only
SLASHED_RATIO = 0.1  # of visits write the date with slashes
OBSERVATIONS = ("staff_seen", "stock_seen_units", "machines_running", "machines_seen", "confidence", "note")
Files = dict[dt.date, dict[str, bytes]]


def prepare(connection: duckdb.DuckDBPyConnection, world: Path) -> None:
    """Makes the lookups: clients as managers write them, and firms by the name they bear on a day."""
    make_subjects(connection, world, "field")
    connection.execute(f"""
        create temp table first_of as select date '{first_day(world)}' as day;
        create temp table bears as
        select firm_id, uscc, name, date '1900-01-01' as from_on from firm
        union all select firm_id, uscc, new_value, changed_on from firm_change join firm using (firm_id)
        where firm_change.kind in ('rename', 'renamed');
        create temp table named as
        select firm_id, "key", name, from_on from subject
        qualify row_number() over (partition by firm_id, from_on) = 1""")


def characters(connection: duckdb.DuckDBPyConnection) -> str:
    """Every character that a document of this world may need."""
    found = connection.execute(
        "select string_agg(distinct c, '') from (select unnest(string_split(name, '')) as c from bears "
        "union select unnest(string_split(concat(maker, kind), '')) from equipment)"
    ).fetchall()
    return found[0][0] or ""


def files(connection: duckdb.DuckDBPyConnection, first: dt.date, last: dt.date, font: Path | None) -> Files:
    """All files that arrive from `first` to `last`: by day, then by path below the day's folder."""
    found: Files = defaultdict(dict)
    for row in _rows(connection, _visits(first, last)):
        found[row["arrives_on"]][f"visits/{row['visit_number']}.json"] = visit_report(row)
    for row in _rows(connection, _statements(first, last)):
        form, render = ("csv", statement_table) if row["form"] < TABLE_RATIO else ("pdf", documents.statement)
        content = render(row) if form == "csv" else render(row, font)
        found[row["arrives_on"]][f"statements/{row['document_number']}.{form}"] = content
    for row in _rows(connection, _leases(first, last)):
        found[row["arrives_on"]][f"leases/{row['document_number']}.pdf"] = documents.lease(row, font)
    scenes = defaultdict(list)
    for row in _rows(connection, _scenes(first, last)):
        scenes[row.pop("arrives_on"), row["observed_on"]].append(row)
    for (day, observed_on), rows in scenes.items():
        found[day][f"remote_sensing/fields_{observed_on:%Y%m%d}.csv"] = _csv(rows)
    return found


def visit_report(row: dict) -> bytes:
    """A manager's report as JSON; what was not noted is not there."""
    style = "%Y/%m/%d" if row["date_style"] < SLASHED_RATIO else "%Y-%m-%d"
    client = {"name": row["client_name"]}
    if row["number_chance"] >= NUMBER_MISSING_RATIO:
        client["number"] = row["client_number"]
    report = {
        "visit_number": row["visit_number"],
        "client": client,
        "visited_on": f"{row['visited_on']:{style}}",
        "reported_on": str(row["arrives_on"]),
        "author": row["manager"],
    }
    for name, chance in zip(OBSERVATIONS, row["chances"], strict=True):
        if row[name] is not None and chance >= MISSING_RATIO:
            report[name] = row[name]
    return json.dumps(report, ensure_ascii=False, indent=1).encode()


def statement_table(row: dict) -> bytes:
    """A statement as the owner's table: item and amount in yuan."""
    head = [("unified_social_credit_code", row["uscc"]), ("name", row["name"]), ("year", row["year"])]
    head.append(("audited", "yes" if row["audited"] else "no"))
    amounts = [(item, documents.yuan(row[f"{item}_fen"])) for item in documents.STATEMENT]
    return _csv([{"item": item, "value": value} for item, value in [*head, *amounts]])


def _visits(first: dt.date, last: dt.date) -> str:
    chances = ", ".join(f"noise(visit_id, 'missing {name}')" for name in OBSERVATIONS)
    return f"""
    with visit as (
        select *, visited_on + floor({REPORT_DAYS + 1} * noise(visit_id, 'report'))::INTEGER as arrives_on
        from branch_visit where visited_on between date '{first}' - {REPORT_DAYS} and date '{last}'
    ), held as (
        select visit.*, "key" as client_number, name as client_name
        from visit asof left join named on visit.firm_id = named.firm_id and visit.visited_on >= named.from_on
    )
    select * exclude (visit_id, firm_id), 'BV' || lpad(own_number(visit_id, 'visit')::VARCHAR, 13, '0') as visit_number,
        noise(visit_id, 'number') as number_chance, noise(visit_id, 'style') as date_style, [{chances}] as chances
    from held where arrives_on between date '{first}' and date '{last}' order by visit_number"""


def _statements(first: dt.date, last: dt.date) -> str:
    return f"""
    with handed as (
        select *, handed_in_on as arrives_on, whole(firm_id || '|' || year) as id
        from statement where handed_in_on between date '{first}' and date '{last}'
    )
    select handed.* exclude (firm_id, id), uscc, name, noise(id, 'form') as form,
        'FS' || lpad(own_number(id, 'statement')::VARCHAR, 13, '0') as document_number
    from handed asof join bears on handed.firm_id = bears.firm_id and handed.handed_in_on >= bears.from_on
    order by document_number"""


def _leases(first: dt.date, last: dt.date) -> str:
    return f"""
    with handed as (
        select e.*, greatest(installed_on, first_of.day)
            + floor({LEASE_DAYS} * noise(equipment_id, 'lease'))::INTEGER as arrives_on
        from equipment e, first_of where leased
    )
    select kind, maker, installed_on, rated_kw, arrives_on, uscc, name,
        'EQ' || lpad(own_number(equipment_id, 'equipment')::VARCHAR, 13, '0') as machine_number,
        'LS' || lpad(own_number(equipment_id, 'lease')::VARCHAR, 13, '0') as document_number
    from handed asof join bears on handed.firm_id = bears.firm_id and handed.arrives_on >= bears.from_on
    where arrives_on between date '{first}' and date '{last}' order by document_number"""


def _scenes(first: dt.date, last: dt.date) -> str:
    low, high = SCENE_DAYS
    return f"""
    select 'DK' || lpad(own_number(plot_id, 'plot')::VARCHAR, 13, '0') as plot_number, observed_on,
        round(sensed_area_mu::DOUBLE, 2) as sensed_area_mu, round(vegetation_index::DOUBLE, 4) as vegetation_index,
        round(cloud_ratio::DOUBLE, 3) as cloud_ratio, crop_guess, observed_on + {low}
            + floor({high - low + 1} * noise(epoch(observed_on), 'scene'))::INTEGER as arrives_on
    from remote_sensing
    where observed_on between date '{first}' - {high} and date '{last}'
        and arrives_on between date '{first}' and date '{last}' order by plot_number"""


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict]:
    return connection.sql(query).to_arrow_table().to_pylist()


def _csv(rows: list[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
