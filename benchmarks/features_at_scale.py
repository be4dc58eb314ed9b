"""Bases and invoice features of many invoices, then of one quiet day more, beside DuckDB on the same plan.

    .venv/bin/python benchmarks/features_at_scale.py [--invoices 20000000] [--firms 3000] [--years 5]

Both sides read the same Parquet rows as silver's invoices (two versions for some, red letters, pairs of sale and
purchase) and run the same models: dbt on Spark, and the same text translated for DuckDB with as many threads. All
features of all dates are compared, also with plain SQL: date by date, the latest known versions found by a window
function, no bases (`--spark-only` leaves DuckDB out). Then a day's invoices and voids are merged, and the features of
that day are built. A loan makes outcomes dated, so that history has the dates that `dbt_project/observation.yml` asks
of dated ones. The gates of silver and gold are measured apart. Bytes are those that Spark's tasks read and wrote,
shuffles beside. Starts and stops an engine of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import math
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

END = datetime.date(2024, 1, 1)
QUIET = END + datetime.timedelta(days=1)
PAGE_PORT = 15198
PAGE = {"spark.ui.enabled": "true", "spark.ui.port": str(PAGE_PORT), "spark.ui.retainedStages": "100000"}
PLACES = {"silver.vat_invoice": "vat_invoice", "silver.enterprise": "enterprise"}
LOAN = """SELECT 'L1' AS loan_id, 'E00001' AS enterprise_id, 1 AS version_no, timestamp'{drawn}' AS known_at,
    date'{drawn}' AS drawn_on, date'{end}' AS due_on, cast(NULL AS date) AS closed_on,
    cast(100000 AS decimal(18,2)) AS principal_cny"""
# Firms differ in size by a factor of about e; a fiftieth of invoices is voided within weeks, one in seventy is a red
# letter, a tenth of the sales is a purchase of another firm here.
INVOICES = """
CREATE TABLE drawn AS
SELECT
    n, pow(random(), 1.6) AS place, random() AS side, random() AS fate, random() AS partner, random() AS size,
    DATE '{first}' + CAST(floor(random() * {days}) AS INTEGER) AS issued_on
FROM range({count}) AS t(n);
CREATE TABLE vat_invoice AS
WITH told AS (
    SELECT
        *, 'E' || lpad(CAST(CAST(floor(place * {firms}) AS INTEGER) AS VARCHAR), 5, '0') AS enterprise_id,
        CASE WHEN side < 0.6 THEN 'sale' ELSE 'purchase' END AS direction,
        CAST(exp(7 + 4 * size) AS DECIMAL(18,2)) AS amount, issued_on + INTERVAL 1 DAY AS seen
    FROM drawn
),
paired AS (
    SELECT n, enterprise_id, direction, issued_on, amount, fate, partner, seen FROM told
    UNION ALL
    SELECT n, 'E' || lpad(CAST(CAST(floor(partner * {firms}) AS INTEGER) AS VARCHAR), 5, '0'), 'purchase', issued_on,
        amount, fate, place, seen
    FROM told WHERE direction = 'sale' AND partner < 0.1
),
signed AS (
    SELECT *, CASE WHEN fate > 0.986 THEN -amount ELSE amount END AS signed_amount,
        sha256(direction || n) AS invoice_id
    FROM paired
),
voided AS (
    SELECT *, CASE WHEN fate < 0.02 THEN seen + to_days(1 + CAST(floor(fate * 1000) AS INTEGER)) END AS voided_on
    FROM signed
),
versions AS (
    SELECT *, 1 AS version_no, 'valid' AS status, seen AS known, voided_on AS superseded FROM voided
    UNION ALL
    SELECT *, 2, 'void', voided_on, NULL FROM voided WHERE fate < 0.02
)
SELECT
    invoice_id, enterprise_id, direction, 'N' || n AS invoice_number, issued_on,
    CAST(issued_on AS TIMESTAMPTZ) AS event_at,
    'C' || CAST(floor(partner * partner * 60) AS INTEGER) || enterprise_id AS counterparty_id,
    signed_amount AS amount_excl_tax_cny, CAST(signed_amount * 0.13 AS DECIMAL(18,2)) AS tax_cny,
    CAST(signed_amount * 1.13 AS DECIMAL(18,2)) AS amount_incl_tax_cny, status, signed_amount < 0 AS is_red_letter,
    CASE WHEN signed_amount < 0 AND status = 'valid' THEN 'unlinked' END AS red_letter_link,
    CAST(NULL AS VARCHAR) AS reverses_invoice_id, CAST(NULL AS DATE) AS reversed_on,
    CAST(superseded AS TIMESTAMPTZ) AS superseded_at, CAST(known AS TIMESTAMPTZ) AS known_at,
    false AS known_at_is_assumed,
    CAST(known AS DATE) AS received_on, 'b' || CAST(CAST(known AS DATE) AS VARCHAR) AS batch_id,
    CAST(1 AS BIGINT) AS batch_sequence, 'invoices.csv.gz' AS source_file, n AS row_number, version_no,
    'vat_invoices__invoice' AS source
FROM versions;
CREATE TABLE enterprise AS
SELECT 'E' || lpad(CAST(n AS VARCHAR), 5, '0') AS enterprise_id, 1 AS version_no,
    CAST(DATE '{first}' AS TIMESTAMPTZ) AS known_at, DATE '{first}' AS registered_on,
    CAST(1000000 AS DECIMAL(18,2)) AS registered_capital_cny, CAST(40 AS BIGINT) AS staff
FROM range({firms}) AS t(n);
"""


def generate(room: Path, count: int, firms: int, years: int) -> None:
    """`history.parquet` (known by the first day), `day.parquet` (known a day later) and `enterprise.parquet`."""
    import duckdb

    first = END.replace(year=END.year - years)
    days = (QUIET - first).days
    with duckdb.connect(str(room / "made.duckdb")) as connection:
        connection.execute("SET TimeZone = 'Asia/Shanghai'; SET threads = 1; SELECT setseed(0.5)")
        connection.execute(INVOICES.format(first=first, days=days, count=count, firms=firms))
        told = f"known_at = TIMESTAMPTZ '{QUIET}' OR superseded_at = TIMESTAMPTZ '{QUIET}'"
        for name, day, which in (("history", END, f"known_at <= TIMESTAMPTZ '{END}'"), ("day", QUIET, told)):
            so_far = f"if(superseded_at <= TIMESTAMPTZ '{day}', superseded_at, NULL) AS superseded_at"
            rows = f"(SELECT * REPLACE ({so_far}) FROM vat_invoice WHERE {which})"
            connection.execute(f"COPY {rows} TO '{room / name}.parquet' (ROW_GROUP_SIZE 1000000)")
        connection.execute(f"COPY enterprise TO '{room}/enterprise.parquet'")
    (room / "made.duckdb").unlink()


class Meter:
    """Bytes and rows of all of an engine's tasks so far, from its own web page; and CPU seconds of its process."""

    def __init__(self, page: str, pid: int) -> None:
        self.page, self.pid, self.parts = page, pid, {}

    def read(self) -> dict[str, float]:
        """Totals since the engine was started."""
        app = self._get("")[0]["id"]
        executor = next(e for e in self._get(f"/{app}/allexecutors") if e["id"] == "driver")
        told = {"seconds": time.monotonic(), "cpu": self._cpu(), "shuffled": executor["totalShuffleWrite"]}
        for stage in self._get(f"/{app}/stages?status=complete"):
            self.parts[(stage["stageId"], stage["attemptId"])] = stage
        for name in ("inputBytes", "inputRecords", "outputBytes", "outputRecords"):
            told[name] = sum(stage[name] for stage in self.parts.values())
        return told

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.page}/api/v1/applications{path}", timeout=60) as answer:
            return json.load(answer)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def measured(meter: Meter, what: str, found: dict[str, dict[str, float]]) -> Iterator[None]:
    """Adds what was spent meanwhile to `found` and prints it."""
    before = meter.read()
    yield
    spent = {name: value - before[name] for name, value in meter.read().items()}
    found[what] = spent
    print(
        f"{what}: {spent['seconds']:.0f} s, {spent['cpu']:.0f} CPU s, read {spent['inputBytes'] / 1e6:,.0f} MB and "
        f"{spent['inputRecords']:,.0f} rows, wrote {spent['outputBytes'] / 1e6:,.0f} MB and "
        f"{spent['outputRecords']:,.0f} rows, shuffled {spent['shuffled'] / 1e6:,.0f} MB",
        flush=True,
    )


def spark_side(room: Path) -> tuple[dict[str, dict[str, float]], list[datetime.date], Any]:
    """What the history and the quiet day cost; the dates of the first build and all its features."""
    from expectations.gate import gate
    from lakehouse import engine, tables, waivers
    from spark_jobs import features, silver

    waivers.add("silver.vat_invoice", "restatement_within_limit", "bench", "a day of voids", "2099-12-31")
    found: dict[str, dict[str, float]] = {}
    engine.start()
    try:
        meter = Meter(f"http://localhost:{PAGE_PORT}", engine.process().running().pid)
        with engine.session() as spark:
            tables.ensure_schemas(spark)
            history = spark.read.parquet(str(room / "history.parquet"))
            tables.overwrite(silver.in_order_of_days(history, silver.DAY["silver.vat_invoice"]), "silver.vat_invoice")
            tables.overwrite(spark.read.parquet(str(room / "enterprise.parquet")), "silver.enterprise")
            drawn = END.replace(year=END.year - 1)
            tables.overwrite(spark.sql(LOAN.format(drawn=drawn, end=END)), "silver.loan")
        with measured(meter, "history, gate of silver", found):
            gate("silver", str(END))
        with measured(meter, "history", found):
            report = features.build(str(END))
        with measured(meter, "history, gate of gold", found):
            gate("gold", str(END))
        with engine.session() as spark:
            built = tables.read(spark, features.TABLE).toPandas()
            spark.read.parquet(str(room / "day.parquet")).createOrReplaceTempView("day")
            spark.sql(
                f"MERGE INTO {tables.build_name('silver.vat_invoice')} AS old USING day AS new "
                "ON old.invoice_id = new.invoice_id AND old.version_no = new.version_no "
                "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
            )
        with measured(meter, "quiet day, gate of silver", found):
            gate("silver", str(QUIET))
        with measured(meter, "quiet day", found):
            print(features.build(str(QUIET)))
        with measured(meter, "quiet day, gate of gold", found):
            gate("gold", str(QUIET))
    finally:
        engine.stop()
    return found, [datetime.date.fromisoformat(day) for day in report["as_of"]], built


@contextmanager
def duck(room: Path) -> Iterator[Any]:
    """DuckDB with the same rows, as many threads, and room to spill."""
    import duckdb

    place = room / "duck.duckdb"
    place.unlink(missing_ok=True)
    with duckdb.connect(str(place)) as connection:
        connection.execute("SET TimeZone = 'Asia/Shanghai'; SET threads = 2; SET memory_limit = '16GB'")
        connection.execute(f"CREATE VIEW vat_invoice AS FROM '{room}/history.parquet'")
        connection.execute(f"CREATE VIEW enterprise AS FROM '{room}/enterprise.parquet'")
        yield connection


def plain_side(room: Path, dates: list[datetime.date]) -> tuple[float, float, Any]:
    """Seconds and CPU seconds of the features of all dates, one by one, in plain SQL; and the features."""
    import pandas as pd
    from models_in_duckdb import PREFIX, plain_statements

    made, plans = [], [plain_statements(day, PLACES) for day in dates]
    with duck(room) as connection:
        begun, used = time.monotonic(), time.process_time()
        for plan in plans:
            for statement in plan:
                connection.execute(statement)
            made.append(connection.execute(f"FROM {PREFIX}_enterprise_features").df())
        return time.monotonic() - begun, time.process_time() - used, pd.concat(made, ignore_index=True)


def duckdb_side(room: Path, dates: list[datetime.date]) -> tuple[float, float, Any]:
    """Seconds and CPU seconds of all models over the same rows, and the features."""
    from models_in_duckdb import PREFIX, same_plan

    plan = same_plan(dates, PLACES)
    with duck(room) as connection:
        begun, used = time.monotonic(), time.process_time()
        for name, statements in plan:
            at = time.monotonic()
            for statement in statements:
                connection.execute(statement)
            print(f"  duckdb {name}: {time.monotonic() - at:.1f} s", flush=True)
        spent = time.monotonic() - begun, time.process_time() - used
        return *spent, connection.execute(f"FROM {PREFIX}_enterprise_features").df()


def differences(ours: Any, theirs: Any) -> list[str]:
    """Cells that differ by more than 1e-9 of their value."""
    import pandas as pd

    keys = ["as_of", "enterprise_id"]
    ours, theirs = (
        frame.assign(as_of=pd.to_datetime(frame["as_of"])).sort_values(keys).set_index(keys) for frame in (ours, theirs)
    )
    assert list(ours.index) == list(theirs.index), "other rows"
    found = []
    for name in ours.columns:
        pairs = zip(ours.index, ours[name].astype(float), theirs[name].astype(float), strict=True)
        found += [
            f"{name} {key}: {a} against {b}"
            for key, a, b in pairs
            if not (math.isnan(a) and math.isnan(b)) and not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invoices", type=int, default=20_000_000)
    parser.add_argument("--firms", type=int, default=3000)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--spark-only", action="store_true", help="without DuckDB: what a quiet day takes of history")
    asked = parser.parse_args()
    logging.basicConfig(format="  %(message)s")
    logging.getLogger("vinelake.dbt").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        room = Path(folder)
        os.environ["VINELAKE_VAR_DIR"] = str(room / "var")
        os.environ["VINELAKE_ENGINE_CONF"] = json.dumps(PAGE)
        os.environ.setdefault("VINELAKE_ENGINE_PORT", "15199")
        generate(room, asked.invoices, asked.firms, asked.years)
        print(f"rows: {(room / 'history.parquet').stat().st_size / 1e6:,.0f} MB of Parquet", flush=True)
        found, dates, ours = spark_side(room)
        if not asked.spark_only:
            duckdb_beside(room, dates, ours, found["history"])
    for what in ("", ", gate of silver", ", gate of gold"):
        history, quiet = found[f"history{what}"], found[f"quiet day{what}"]
        share = {name: quiet[name] / history[name] for name in history if history[name]}
        print(f"quiet day as a share of history{what}:", ", ".join(f"{n} {value:.3f}" for n, value in share.items()))


def duckdb_beside(room: Path, dates: list[datetime.date], ours: Any, history: dict[str, float]) -> None:
    """Prints what DuckDB takes for the same plan and for plain SQL, and features that are others there."""
    seconds, cpu, theirs = duckdb_side(room, dates)
    plain_seconds, plain_cpu, plain = plain_side(room, dates)
    unlike = differences(ours, theirs) + differences(ours, plain)
    print(f"DuckDB, same plan, {len(dates)} dates: {seconds:.0f} s, {cpu:.0f} CPU s")
    print(f"DuckDB, plain SQL, date by date: {plain_seconds:.0f} s, {plain_cpu:.0f} CPU s")
    print(f"features that differ: {len(unlike)}", *unlike[:5], sep="\n  ")
    for what, clock, used in (("same plan", seconds, cpu), ("plain SQL", plain_seconds, plain_cpu)):
        by_clock, by_cpu = history["seconds"] / clock, history["cpu"] / used
        print(f"Spark over DuckDB, {what}: {by_clock:.1f} by the clock, {by_cpu:.1f} by CPU")


if __name__ == "__main__":
    main()
