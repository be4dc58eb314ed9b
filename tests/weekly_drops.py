"""The built-in source's files cut into weekly deliveries, and what goes wrong with a delivery at a real source.

A week's files hold the lines that the source wrote for it, as they stand. A planted fault takes a week's rows and gives
back the file as the sender would have sent it.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tests.drops import LOAN_HEAD, PURCHASE_HEAD, SALE_HEAD

Row = list[str]
SALE, PURCHASE, LOAN = "gov_tax__sale_invoice", "gov_tax__purchase_invoice", "bank__loan"
FILES = {SALE: "output_invoices.csv", PURCHASE: "input_invoices.csv", LOAN: "loan_ledger.csv"}
HEADS = {SALE: list(SALE_HEAD), PURCHASE: list(PURCHASE_HEAD), LOAN: list(LOAN_HEAD)}
DAY_CELL, FIRM_CELL, NUMBER_CELL = {SALE: 2, PURCHASE: 2, LOAN: 2}, {SALE: 0, PURCHASE: 0, LOAN: 1}, 1
AMOUNTS = {SALE: (4, 5, 6), PURCHASE: (4, 5, 6), LOAN: (4,)}
STATUS, DUE = 7, 3
WEEK = timedelta(days=7)
EARLIER_WEEKS = 4


@dataclass(frozen=True)
class Delivery:
    """What is sent for a feed on a day: the rows of the week before it, with those of the weeks before that by age."""

    feed: str
    received_on: date
    rows: Sequence[Row]
    earlier: Sequence[Sequence[Row]]


class Weeks:
    """A source's history by the week: `first` has all that lies before `start`, then each Monday brings seven days.

    The register comes once, on the start day: firms that were registered later are left out throughout.
    """

    def __init__(self, folder: Path, start: date) -> None:
        self.folder, self.start = folder, start
        self.rows: dict[str, list[Row]] = {}
        self.days: dict[str, list[date]] = {}
        self.register = _registered_by(folder / "business_registry.csv", start)
        firms = {row["enterprise_id"] for row in self.register}
        for feed, file in FILES.items():
            rows = _read(folder.glob(f"{file.removesuffix('.csv')}*"))
            mine = [(n, row) for n, row in enumerate(rows) if row[FIRM_CELL[feed]] in firms]
            dated = sorted((_day(row[DAY_CELL[feed]]), n) for n, row in mine)
            self.rows[feed], self.days[feed] = [rows[n] for _, n in dated], [day for day, _ in dated]

    def write_first(self, out: Path) -> Path:
        """The drop of the start day: all that happened before it, and every firm."""
        out.mkdir(parents=True)
        credit = "enterprises_with_credit_record.csv"
        (out / credit).write_bytes((self.folder / credit).read_bytes())
        with (out / "business_registry.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, self.register[0])
            writer.writeheader()
            writer.writerows(self.register)
        for feed in FILES:
            _write(out, feed, HEADS[feed], self.between(feed, date(2000, 1, 1), self.start))
        return out

    def delivery(self, feed: str, number: int) -> Delivery:
        """The delivery of week `number`, from 1 on."""
        day = self.start + number * WEEK
        earlier = [self.between(feed, day - (n + 2) * WEEK, day - (n + 1) * WEEK) for n in range(EARLIER_WEEKS)]
        return Delivery(feed, day, self.between(feed, day - WEEK, day), earlier)

    def between(self, feed: str, since: date, until: date) -> list[Row]:
        """The feed's rows of the days from `since` to before `until`, as they were known then."""
        days = self.days[feed]
        found = self.rows[feed][bisect_left(days, since) : bisect_left(days, until)]
        return [_as_known(row, until) for row in found] if feed == LOAN else found


def write_week(out: Path, deliveries: Iterable[Delivery]) -> Path:
    """A drop with the files of some feeds as they are."""
    out.mkdir(parents=True)
    for delivery in deliveries:
        if delivery.rows:
            _write(out, delivery.feed, HEADS[delivery.feed], delivery.rows)
    return out


def write_bad(out: Path, delivery: Delivery, fault: str, seed: int) -> Path:
    """Adds a feed's file with a planted fault to a drop."""
    out.mkdir(parents=True, exist_ok=True)
    made = FAULTS[fault](delivery, random.Random(f"{seed}{fault}{delivery.received_on}"))
    head, rows = made if isinstance(made, tuple) else (HEADS[delivery.feed], made)
    return _write(out, delivery.feed, head, rows)


def _without_a_column(of: Delivery, _chance: random.Random) -> tuple[Row, list[Row]]:
    """The sender's export lost a column."""
    return HEADS[of.feed][:-1], [row[:-1] for row in of.rows]


def _with_a_renamed_column(of: Delivery, _chance: random.Random) -> tuple[Row, list[Row]]:
    """The sender renamed a column."""
    head = list(HEADS[of.feed])
    head[AMOUNTS[of.feed][0]] = "AMOUNT"
    return head, list(of.rows)


def _with_other_dates(of: Delivery, _chance: random.Random) -> list[Row]:
    """Days as another system writes them."""
    cell = DAY_CELL[of.feed]
    return [_with(row, {cell: f"{_day(row[cell]):%d.%m.%Y}"}) for row in of.rows]


def _with_new_codes(of: Delivery, _chance: random.Random) -> list[Row]:
    """Marks of a new release of the sender's software."""
    return [_with(row, {STATUS: "正常" if row[STATUS].strip() == "有效发票" else row[STATUS]}) for row in of.rows]


def _cut_short(of: Delivery, _chance: random.Random) -> list[Row]:
    """The transfer broke off after a fiftieth."""
    return list(of.rows[: max(len(of.rows) // 50, 1)])


def _many_times(of: Delivery, chance: random.Random) -> list[Row]:
    """A test system's invented records were sent along: forty times as many, under numbers of their own."""
    rows = []
    for row in of.rows:
        rows.append(row)
        rows += [_with(row, {_number_cell(of): _number(of, chance)}) for _ in range(39)]
    return rows


def _all_void(of: Delivery, _chance: random.Random) -> list[Row]:
    """Every invoice is marked void."""
    return [_with(row, {STATUS: "作废发票"}) for row in of.rows]


def _negative(of: Delivery, _chance: random.Random) -> list[Row]:
    """The sign of all amounts is turned round."""
    return [_with(row, {c: _turned(row[c]) for c in AMOUNTS[of.feed]}) for row in of.rows]


def _amounts_zeroed(of: Delivery, _chance: random.Random) -> list[Row]:
    """A join failed at the sender, and amounts are 0."""
    return [_with(row, dict.fromkeys(AMOUNTS[of.feed], "0.00")) for row in of.rows]


def _of_strangers(of: Delivery, _chance: random.Random) -> list[Row]:
    """Firms under the numbers of another system."""
    cell = FIRM_CELL[of.feed]
    return [_with(row, {cell: f"Z9{row[cell]}"}) for row in of.rows]


def _half_of_strangers(of: Delivery, _chance: random.Random) -> list[Row]:
    """Every other record names a firm that nobody knows."""
    cell = FIRM_CELL[of.feed]
    return [_with(row, {cell: f"Z9{row[cell]}"} if n % 2 else {}) for n, row in enumerate(of.rows)]


def _stale(of: Delivery, chance: random.Random) -> list[Row]:
    """Records half a year old that never came before, sent as this week's."""
    cell = DAY_CELL[of.feed]
    return [
        _with(row, {cell: _days_back(row[cell], 182), _number_cell(of): _number(of, chance)} | _due_back(of, row, 182))
        for row in of.rows
    ]


def _last_week_again(of: Delivery, chance: random.Random) -> list[Row]:
    """Last week's records once more, in another order."""
    return chance.sample(list(of.earlier[0]), len(of.earlier[0]))


def _an_earlier_week_again(of: Delivery, chance: random.Random) -> list[Row]:
    """Records of four weeks ago once more, in another order."""
    return chance.sample(list(of.earlier[3]), len(of.earlier[3]))


def _each_row_thrice(of: Delivery, _chance: random.Random) -> list[Row]:
    """Each record stands three times in the file."""
    return [row for row in of.rows for _ in range(3)]


def _in_wan(of: Delivery, _chance: random.Random) -> list[Row]:
    """Amounts in 10,000 yuan (万元), to the hundredth, instead of yuan."""
    return [_scaled(of, row, 1e-4) for row in of.rows]


def _in_fen(of: Delivery, _chance: random.Random) -> list[Row]:
    """Amounts in fen instead of yuan."""
    return [_scaled(of, row, 100) for row in of.rows]


FAULTS: Mapping[str, Callable[[Delivery, random.Random], list[Row] | tuple[Row, list[Row]]]] = {
    "schema: a column is missing": _without_a_column,
    "schema: a column is renamed": _with_a_renamed_column,
    "schema: dates in another form": _with_other_dates,
    "schema: unknown codes": _with_new_codes,
    "volume: cut short": _cut_short,
    "volume: forty times as many": _many_times,
    "distribution: all void": _all_void,
    "distribution: signs turned": _negative,
    "distribution: amounts are zero": _amounts_zeroed,
    "referential: strangers": _of_strangers,
    "referential: every other a stranger": _half_of_strangers,
    "stale: half a year old": _stale,
    "duplicated: last week again": _last_week_again,
    "duplicated: four weeks ago again": _an_earlier_week_again,
    "duplicated: each row thrice": _each_row_thrice,
    "unit: 10,000 yuan": _in_wan,
    "unit: fen": _in_fen,
}
OF_INVOICES = {"schema: unknown codes", "distribution: all void", "distribution: signs turned"}


def _registered_by(path: Path, day: date) -> list[dict[str, str]]:
    """The register's entries of before a day."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if _day(row["registered_on"]) < day]


def _read(paths: Iterable[Path]) -> list[Row]:
    rows = []
    for path in sorted(paths):
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
        rows += list(csv.reader(io.StringIO(text)))[1:]
    return rows


def _write(out: Path, feed: str, head: Row, rows: Iterable[Row]) -> Path:
    path = out / FILES[feed]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    return path


def _day(cell: str) -> date:
    return date(*map(int, cell.strip().replace("-", "/").split("/")))


def _days_back(cell: str, days: int) -> str:
    day = _day(cell) - timedelta(days=days)
    return f"{day}" if "-" in cell else f"{day.year}/{day.month}/{day.day}"


def _due_back(of: Delivery, row: Row, days: int) -> dict[int, str]:
    return {DUE: _days_back(row[DUE], days)} if of.feed == LOAN else {}


def _as_known(row: Row, until: date) -> Row:
    """A loan as it stood on a day: what happened later had not."""
    return [*row[:5], *("" if cell and _day(cell) >= until else cell for cell in row[5:])]


def _with(row: Row, cells: Mapping[int, str]) -> Row:
    return [cells.get(n, cell) for n, cell in enumerate(row)]


def _number_cell(of: Delivery) -> int:
    return 0 if of.feed == LOAN else NUMBER_CELL


def _number(of: Delivery, chance: random.Random) -> str:
    number = chance.randrange(10**14, 10**15)
    return f"L{number}" if of.feed == LOAN else str(number)


def _turned(cell: str) -> str:
    return cell[1:] if cell.startswith("-") else f"-{cell}"


def _scaled(of: Delivery, row: Row, factor: float) -> Row:
    cells = [round(float(row[c]) * factor, 2) for c in AMOUNTS[of.feed]]
    if len(cells) == 3:  # the printed total is the sum of what is printed
        cells[2] = cells[0] + cells[1]
    return _with(row, {c: f"{cell:.2f}" for c, cell in zip(AMOUNTS[of.feed], cells, strict=True)})
