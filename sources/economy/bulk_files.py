"""Writes the bulk feeds as the departments' own files: their names, keys and formats, one a dataset and month.

The layout is that of the history files of the government platform: `<department>/<dataset>-YYYY-MM.<format>` and one
`manifest.json` a department. A file holds what happened in its month or concerns it, in its last state: voided,
paid. Rows are streamed from the generator through DuckDB, which formats them by the departments' declarations.

What is simpler than the platform's own history: one revision a record (two where a firm closed), no mistakes that are
put right, no outages or changes of schema, names as registered, electricity by month, and not every department.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.economy import bulk, names, params
from sources.economy.bulk import Ledger, Region
from sources.economy.interface import stream
from sources.systems.government.departments import DEPARTMENTS
from sources.systems.government.fields import day, number, text, yuan
from sources.systems.government.history import HistoryFile, select_list
from sources.systems.government.model import Dataset, Lag
from sources.systems.keys import department_keys
from sources.systems.world import connect

MEMORY_MB = 2000
GOODS = ("steel", "parts", "cement", "cloth", "flour", "vegetables", "furniture", "transport", "machines", "paper")
DATASET = {(d.name, dataset.name): dataset for d in DEPARTMENTS for dataset in d.datasets}
SYSTEM = {d.name: d.system for d in DEPARTMENTS}
# The grid company's archive holds months, not days.
MONTHLY_USAGE = Dataset(
    name="monthly_usage",
    about="Energy and cost of each account and month.",
    grain="one record an account and month",
    sql="",
    key=("firm_id", "day"),
    subject="firm_id",
    fields=(
        text("yhbh", "subject_key", "account", "3205119847"),
        day("ydny", "day", "month", "%Y%m"),
        number("ydl", "energy_kwh", "energy", 812.4, "kWh", 3),
        number("fsbl", "peak_ratio", "share at peak hours", 0.41, "ratio", 4),
        yuan("df", "fee_fen", "cost"),
    ),
    lag=Lag(3, 5),
    prefix="E",
)
# Directories: department → name of its dataset, share of firms for which it holds no code.
DIRECTORIES = {
    "tax_returns": ("taxpayers", 0.0),
    "social_insurance": ("employers", 0.1),
    "housing_fund": ("employers", 0.15),
    "electricity": ("accounts", 0.5),
    "water": ("accounts", 0.7),
    "gas": ("accounts", 0.6),
}
MONTHLY: dict[tuple[str, str], Callable[[Region, int], dict[str, np.ndarray]]] = {
    ("social_insurance", "contributions"): bulk.social_insurance,
    ("housing_fund", "deposits"): bulk.housing_fund,
    ("electricity", "monthly_usage"): bulk.electricity,
    ("water", "bills"): bulk.water,
    ("gas", "bills"): bulk.gas,
}


class Directory:
    """Names, codes, keys and addresses of all parties, as Arrow columns to be taken by party."""

    def __init__(self, region: Region) -> None:
        self.region = region
        rng = stream(region.seed, "bulk names")
        n = region.parties
        places = region.place
        self.region_code = np.array([code for code, _ in names.REGIONS])[places]
        cities = np.array([city for _, city in names.REGIONS], object)[places]
        self.uscc = pa.array(credit_codes(self.region_code, 31 * np.arange(n) + region.seed % 9973))
        parts = [rng.choice(np.array(list(letters), object), n) for letters in (names.BRAND_A, names.BRAND_B)]
        third = np.where(rng.random(n) < 0.35, rng.choice(np.array(list(names.BRAND_B), object), n), "")
        self.industry = pa.array(rng.choice(np.array(sorted({c for cs in params.INDUSTRY.values() for c in cs})), n))
        trades = np.array([trade for trades in names.TRADE.values() for trade in trades], object)
        self.name = pa.array(cities + parts[0] + parts[1] + third + rng.choice(trades, n) + "有限公司", pa.string())
        streets = rng.choice(np.array(names.STREETS, object), n)
        self.address = pa.array(
            [f"{c}{s}{h}号" for c, s, h in zip(cities, streets, rng.integers(1, 999, n), strict=True)]
        )
        self.phone = pa.array([f"13{number:09d}" for number in rng.integers(0, 10**9, n).tolist()])
        self.good = pa.array(np.array(GOODS, object)[rng.integers(0, len(GOODS), n)], pa.string())
        self._keys: dict[str, pa.Array] = {}

    def columns(self, firm: np.ndarray) -> dict[str, pa.Array]:
        """Name, code, address, telephone, trade and region of some firms."""
        taken = pa.array(firm)
        held = {
            "name": self.name,
            "uscc": self.uscc,
            "address": self.address,
            "phone": self.phone,
            "industry_code": self.industry,
        }
        return {name: pc.take(column, taken) for name, column in held.items()} | {
            "region_code": pa.array(self.region_code[firm])
        }

    def owners(self, firm: np.ndarray) -> dict[str, pa.Array]:
        """Legal persons of some firms, invented, and the registered capital."""
        rng = stream(self.region.seed, "bulk owners", int(firm.sum()), len(firm))
        family, given = (np.array(list(letters), object) for letters in (names.FAMILY, names.GIVEN))
        person = rng.choice(family, len(firm)) + rng.choice(given, len(firm)) + rng.choice(given, len(firm))
        born = (np.datetime64("1960-01-01") + rng.integers(0, 14_000, len(firm))).astype(str)
        numbers = [names.id_number(*known) for known in zip(self.region_code[firm], born, firm.tolist(), strict=True)]
        capital = np.maximum(np.rint(self.region.staff[firm] * 10 * np.exp(rng.standard_normal(len(firm)))), 10)
        return {
            "legal_person_name": pa.array(person, pa.string()),
            "legal_person_number": pa.array(numbers, pa.string()),
            "capital_fen": pa.array((capital * 1e6).astype("i8")),
        }

    def keys(self, department: str) -> pa.Array:
        """The department's key of every firm; the tax office uses the credit code."""
        if department.startswith(("tax", "vat")):
            return self.uscc
        if department not in self._keys:
            firms = np.arange(self.region.firms)
            self._keys[department] = pa.array(
                department_keys(SYSTEM[department], department, firms, self.region.seed), pa.string()
            )
        return self._keys[department]


def credit_codes(region_codes: np.ndarray, serials: np.ndarray) -> np.ndarray:
    """Valid unified social credit codes of many firms at once: those of `names.uscc`, as fixed-width text."""
    alphabet = np.array(list(names.USCC_ALPHABET))
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    columns = [np.full(len(serials), c) for c in "91"]
    columns += [np.array([code[i] for code in region_codes]) for i in range(6)]
    organisation = [np.full(len(serials), c) for c in "MA"]
    organisation += [alphabet[serials // 31**p % 31] for p in range(5)] + [alphabet[serials % 10]]
    value = np.zeros(128, int)
    value[[ord(c) for c in letters]] = np.arange(36)
    ordinal = [value[column.astype("U1").view("u4")] for column in organisation]
    check = (11 - sum(o * w for o, w in zip(ordinal, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11) % 12
    # 11 − r is 11 for r = 0 (check 0) and 10 for r = 1 (check X), see names.organisation_check.
    check = np.where(check == 11, 0, check)
    columns += [*organisation, np.array(list("0123456789X"))[check]]
    rank = np.zeros(128, int)
    rank[[ord(c) for c in names.USCC_ALPHABET]] = np.arange(31)
    total = sum(rank[column.astype("U1").view("u4")] * pow(3, i, 31) for i, column in enumerate(columns))
    columns.append(alphabet[(31 - total % 31) % 31])
    return np.column_stack([column.astype("U1") for column in columns]).view("U18").ravel()


def published(region: Region, event_on: np.ndarray, lag: Lag, *salt: int) -> np.ndarray:
    """When each record is published: its day, the department's lag, and a time of the night."""
    rng = stream(region.seed, "bulk published", *salt)
    days = lag.least + rng.integers(0, lag.spread + 1, len(event_on))
    late = rng.random(len(event_on), dtype="f4") < lag.late_share
    days = np.where(late, days + rng.integers(0, max(lag.late_days, 1), len(event_on)), days)
    seconds = rng.integers(3600, 5 * 3600, len(event_on)).astype("timedelta64[s]")
    return (event_on + days).astype("datetime64[s]") + seconds


def _latest(first: np.ndarray, later: np.ndarray) -> np.ndarray:
    """The day of a record's last state; `later` may not have come."""
    return np.where(np.isnat(later), first, np.maximum(first, later))


def invoice_batches(
    region: Region, directory: Directory, month: int, blocks: Iterable[dict[str, np.ndarray]]
) -> Iterator[pa.Table]:
    """Blocks of invoices with the columns that the department's fields read."""
    lag = DATASET["vat_invoices", "invoices"].lag
    for place, rows in enumerate(blocks):
        seller, buyer = pa.array(rows["seller_id"]), pa.array(rows["buyer_id"])
        red = rows["red_of_id"]
        yield pa.table(
            {
                "record": rows["invoice_id"],
                "published_at": published(region, _latest(rows["issued_on"], rows["voided_on"]), lag, month, 0, place),
                "invoice_number": pa.array(rows["invoice_id"]),
                "seller_code": pc.take(directory.uscc, seller),
                "seller_name": pc.take(directory.name, seller),
                "buyer_code": pc.take(directory.uscc, buyer),
                "buyer_name": pc.take(directory.name, buyer),
                "good": pc.take(directory.good, seller),
                "issued_on": pa.array(rows["issued_on"]),
                "voided_on": pa.array(rows["voided_on"]),
                "amount_fen": rows["amount_fen"],
                "tax_fen": rows["tax_fen"],
                "total_fen": rows["total_fen"],
                "red_of": pa.array(red, mask=red < 0),
                "order_number": pa.nulls(len(red), pa.string()),
            }
        )


def record_batch(
    region: Region, directory: Directory, department: str, dataset: Dataset, month: int, rows: dict[str, np.ndarray]
) -> pa.Table:
    """A month's records of one department, with its own key instead of the firm."""
    firm = rows["firm_id"]
    event = rows.get("filed_on", np.full(len(firm), region.bounds(month)[1]))
    event = _latest(event, rows["paid_on"]) if "paid_on" in rows else event
    salt = int.from_bytes(f"{department}/{dataset.name}".encode()[:7])
    columns = {name: pa.array(values) for name, values in rows.items() if name != "firm_id"}
    return pa.table(
        {
            "record": month * 10_000_000 + firm,
            "published_at": published(region, event, dataset.lag, month, salt),
            "subject_key": pc.take(directory.keys(department), pa.array(firm)),
            **columns,
        }
    )


def directory_batch(region: Region, directory: Directory, department: str, dataset: Dataset, month: int) -> pa.Table:
    """Those whom a department came to know this month: in the first month all, then the newly founded."""
    firm = _newcomers(region, month)
    without = stream(region.seed, "bulk code", month, *department.encode()).random(len(firm))
    held = directory.columns(firm)
    nothing = pa.scalar(None, pa.string())
    return pa.table(
        {
            "record": firm,
            "published_at": published(region, _founded_on(region, firm), dataset.lag, month, *department.encode()[:6]),
            "subject_key": pc.take(directory.keys(department), pa.array(firm)),
            "code": pc.if_else(pa.array(without < DIRECTORIES[department][1]), nothing, held["uscc"]),
            **{name: held[name] for name in ("name", "address", "phone")},
        }
    )


def registry_batch(region: Region, directory: Directory, dataset: Dataset, month: int) -> pa.Table:
    """The business register: entries of those it came to know this month, new revisions of those that closed."""
    closing = np.flatnonzero((region.closed == month) & (region.founded < month))
    firm = np.concatenate([_newcomers(region, month), closing])
    open_ = np.arange(len(firm)) < len(firm) - len(closing)
    first = region.bounds(month)[0]
    event = np.where(open_, np.maximum(_founded_on(region, firm), region.bounds(0)[0]), first)
    return pa.table(
        {
            "record": firm,
            "revision": np.where(open_, 1, 2),
            "published_at": published(region, event, dataset.lag, month, 6),
            "subject_key": pc.take(directory.keys("business_registry"), pa.array(firm)),
            **directory.columns(firm),
            **directory.owners(firm),
            "registration_number": pa.nulls(len(firm), pa.string()),
            "kind": pa.array(["company"] * len(firm), pa.string()),
            "founded_on": _founded_on(region, firm),
            "state": pa.array(np.where(open_, "open", "closed")),
            "closed_on": np.where(open_, np.datetime64("NaT"), first),
        }
    )


def _newcomers(region: Region, month: int) -> np.ndarray:
    """Firms first seen in a month, in the order of their numbers."""
    active = region.active(month)
    new = active if month == 0 else active & (region.founded == month)
    return np.flatnonzero(new[: region.firms])


def _founded_on(region: Region, firm: np.ndarray) -> np.ndarray:
    """A day in the month of founding, fixed for each firm."""
    month = region.months[0] + region.founded[firm]
    return month.astype("datetime64[D]") + np.floor(28 * bulk.uniform(firm.astype("u8") + np.uint64(41))).astype("i8")


def write(
    region: Region, out: Path, style: str = "csv", first_month: int = 0, report: Callable[[str], None] = lambda _: None
) -> dict:
    """Writes every file from `first_month` on; returns and leaves in `bulk.json` rows, bytes and seconds.

    style: csv or parquet. A later start leaves earlier files and their lines in the manifests alone.
    """
    started = time.perf_counter()
    directory = Directory(region)
    files = _Files(out, style)
    for month, ledgers, blocks in bulk.run(region, first_month):
        files.month = region.months[month]
        files.write(
            "vat_invoices", DATASET["vat_invoices", "invoices"], invoice_batches(region, directory, month, blocks)
        )
        for department, dataset, batch in _small_feeds(region, directory, month, ledgers):
            files.write(department, dataset, [batch])
        report(f"{region.months[month]}: {files.rows:,} rows, {files.bytes / 1e6:,.0f} MB")
    files.close()
    facts = {
        "firms": region.firms,
        "seed": region.seed,
        "first_month": str(region.months[first_month]),
        "last_month": str(region.months[-1]),
        "format": style,
        "rows": files.rows,
        "bytes": files.bytes,
        "rows_by_feed": files.by_feed,
        "seconds": round(time.perf_counter() - started, 1),
    }
    (out / "bulk.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def _small_feeds(
    region: Region, directory: Directory, month: int, ledgers: list[Ledger]
) -> Iterator[tuple[str, Dataset, pa.Table]]:
    """Everything but invoices, which must have been written before: returns declare them."""
    register = DATASET["business_registry", "enterprises"]
    yield "business_registry", register, registry_batch(region, directory, register, month)
    for department, (name, _) in DIRECTORIES.items():
        dataset = DATASET[department, name]
        yield department, dataset, directory_batch(region, directory, department, dataset, month)
    returns = DATASET["tax_returns", "returns"]
    rows = bulk.tax_returns(region, month, ledgers)
    yield "tax_returns", returns, record_batch(region, directory, "tax_returns", returns, month, rows)
    for (department, name), records in MONTHLY.items():
        dataset = DATASET.get((department, name), MONTHLY_USAGE)
        yield department, dataset, record_batch(region, directory, department, dataset, month, records(region, month))


class _Files:
    """Files of all departments and their manifests."""

    def __init__(self, out: Path, style: str) -> None:
        self.out, self.style = out, style
        self.month = np.datetime64("1970-01", "M")
        self.rows = self.bytes = 0
        self.by_feed: dict[str, int] = {}
        self.entries: dict[str, list[HistoryFile]] = {}
        self.database = connect(memory_mb=MEMORY_MB)
        self.options = "FORMAT parquet, COMPRESSION zstd" if style == "parquet" else "FORMAT csv, HEADER true"

    def write(self, department: str, dataset: Dataset, batches: Iterable[pa.Table]) -> None:
        """Streams batches into one file; a month without rows leaves no file."""
        batches = iter(batches)
        first = next(batches, None)
        if first is None:
            return
        folder = self.out / department
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{dataset.name}-{self.month}.{self.style}"
        reader = pa.RecordBatchReader.from_batches(first.schema, _record_batches(first, batches))
        revision = "revision" if "revision" in first.schema.names else "1 AS revision"
        fields = select_list(dataset, dataset.fields).replace("revision,", f"{revision},", 1)
        self.database.register("batch", reader)
        rows = self.database.execute(f"COPY (SELECT {fields} FROM batch) TO '{file}' ({self.options})").fetchone()[0]
        self.database.unregister("batch")
        if not rows:
            file.unlink()
            return
        self._enter(department, dataset, file, rows)

    def _enter(self, department: str, dataset: Dataset, file: Path, rows: int) -> None:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = file.stat().st_size
        ready = (self.month + 2).astype("datetime64[D]") + 2
        entry = HistoryFile(dataset.name, str(self.month), file.name, rows, size, digest, 1, str(ready))
        self.entries.setdefault(department, []).append(entry)
        self.rows, self.bytes = self.rows + rows, self.bytes + size
        feed = f"{department}/{dataset.name}"
        self.by_feed[feed] = self.by_feed.get(feed, 0) + rows

    def close(self) -> None:
        """Leaves the manifests, with the lines of earlier months where there are some."""
        self.database.close()
        for department, entries in self.entries.items():
            manifest = self.out / department / "manifest.json"
            before = json.loads(manifest.read_text()) if manifest.exists() else []
            written = {entry.file for entry in entries}
            kept = [entry for entry in before if entry["file"] not in written]
            lines = sorted([*kept, *map(asdict, entries)], key=lambda entry: entry["file"])
            manifest.write_text(json.dumps(lines))


def _record_batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches()
    for table in rest:
        yield from table.to_batches()
