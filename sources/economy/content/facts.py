"""What the writers read: the kernel's arrays, the tables written so far, the lies, and named random streams."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sources.economy.interface import SHAVED, SHAVED_DUES

Array = np.ndarray


@dataclass
class Lies:
    """Planted episodes by kind: the rows of `planted`, and who lies when as masks over periods and firms."""

    planted: pd.DataFrame

    def of(self, kind: str, look_alike: bool | None = False) -> pd.DataFrame:
        """Episodes of a kind: lies, look-alikes, or both (None), one row an episode."""
        rows = self.planted[self.planted["kind"] == kind]
        return rows if look_alike is None else rows[rows["look_alike"] == look_alike]

    def marks(self, kind: str, when: Array, firms: int, look_alike: bool = False) -> Array:
        """(periods × firms) int32: the planted_id of the episode that runs on the day `when[p]`, else -1."""
        out = np.full((len(when), firms), -1, np.int32)
        for row in self.of(kind, look_alike).itertuples():
            span = slice(*np.searchsorted(when, [np.datetime64(row.from_on), np.datetime64(row.to_on)]))
            for firm in row.firm_ids:
                out[span, firm] = row.planted_id
        return out

    def knowing(self, marks: Array) -> Array:
        """Where the marked liar knows the rule and acts around it."""
        known = np.zeros(int(self.planted["planted_id"].max()) + 2 if len(self.planted) else 1, bool)
        known[self.planted.loc[self.planted["knows_rule"].astype(bool), "planted_id"].to_numpy(int)] = True
        return known[marks] & (marks >= 0)


@dataclass
class Facts:
    """History as arrays of shape (days, firms), static columns of firms, and streams by name."""

    seed: int
    days: Array  # datetime64[D]
    firm: pd.DataFrame  # row i is firm i
    day: dict[str, Array]  # by column of `firm_day`; (days, firms)
    month: dict[str, Array]  # accounts by month; (months, firms)
    lies: Lies
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    workday: Array | None = None  # bool by day; None: Monday to Friday
    shaves: Array = field(default_factory=lambda: np.zeros(0, SHAVED))
    machines: pd.DataFrame = field(default_factory=pd.DataFrame)  # table `equipment`

    def __post_init__(self) -> None:
        if self.workday is None:
            self.workday = (self.days.view("int64") + 3) % 7 < 5
        self.firms = len(self.firm)
        month = self.days.astype("datetime64[M]")
        self.month_start = np.flatnonzero(np.r_[True, month[1:] != month[:-1]])
        self.month_end = np.r_[self.month_start[1:], len(self.days)] - 1
        self.months = month[self.month_start]  # datetime64[M]
        self.month_of_day = np.repeat(np.arange(len(self.months)), np.diff(np.r_[self.month_start, len(self.days)]))

    def rng(self, name: str) -> np.random.Generator:
        """The stream of that name; streams do not depend on each other nor on the order of use."""
        return np.random.default_rng([self.seed, 0xC0, zlib.crc32(name.encode())])

    def monthly(self, values: Array) -> Array:
        """(days × firms) → (months × firms) sums."""
        kind = np.float64 if values.dtype.kind == "f" else np.int64
        return np.add.reduceat(values.astype(kind, copy=False), self.month_start, axis=0)

    def alive(self) -> tuple[Array, Array]:
        """First and last day number on which each firm was active; (0, −1) for one that never was."""
        active = self.day["active"]
        ever = active.any(axis=0)
        first = np.where(ever, active.argmax(axis=0), 0)
        last = np.where(ever, len(self.days) - 1 - active[::-1].argmax(axis=0), -1)
        return first, last

    def dates(self, day: Array, known: Array) -> Array:
        """Day numbers as dates; NaT where not `known` or after the run."""
        day = np.asarray(day, np.int64)
        known = np.asarray(known, bool) & (day >= 0) & (day < len(self.days))
        return np.where(known, self.days[0] + np.where(known, day, 0), np.datetime64("NaT"))

    def next_workday(self, day: Array) -> Array:
        """The work day on or after each day number; the last one for days after it."""
        open_ = np.flatnonzero(self.workday)
        return open_[np.minimum(np.searchsorted(open_, day), len(open_) - 1)]

    def within(self, dates: Array) -> Array:
        """The dates, NaT for those after the run."""
        return np.where(dates <= self.days[-1], dates, np.datetime64("NaT"))

    def shaved(self, what: str) -> Array:
        """(months × firms) share of a due that the firm reports, 1 for honest ones; see `interface.SHAVED`."""
        share = np.ones((len(self.months), self.firms))
        start = (self.first_days() - self.days[0]).astype(np.int64)
        for row in self.shaves[self.shaves["what"] == SHAVED_DUES.index(what)]:
            share[(start >= row["first_day"]) & (start <= row["last_day"]), row["firm"]] = row["share"]
        return share

    def fake_by_month(self) -> dict[str, Array]:
        """Invoices without goods that both sides declare (rings), by month and firm: net, output and input tax, fen."""
        fake = self.tables.get("fake_invoice")
        ring = self.lies.of("invoice_ring")["planted_id"]
        rows = fake[fake["planted_id"].isin(ring)] if fake is not None and len(fake) else None
        if rows is None or rows.empty:
            zero = np.zeros((len(self.months), self.firms), np.int64)
            return {"net_fen": zero, "output_tax_fen": zero, "input_tax_fen": zero}
        issued = rows["issued_on"].to_numpy("datetime64[D]")
        return {
            "net_fen": self.by_month(rows["seller_id"].to_numpy(), issued, rows["amount_fen"].to_numpy()),
            "output_tax_fen": self.by_month(rows["seller_id"].to_numpy(), issued, rows["tax_fen"].to_numpy()),
            "input_tax_fen": self.by_month(rows["buyer_id"].to_numpy(), issued, rows["tax_fen"].to_numpy()),
        }

    def first_days(self) -> Array:
        """First day of every month, datetime64[D]."""
        return self.months.astype("datetime64[D]")

    def index(self, dates) -> Array:
        """Day numbers of dates, clipped to the run."""
        at = (np.asarray(dates, "datetime64[D]") - self.days[0]).astype(np.int64)
        return np.clip(at, 0, len(self.days) - 1)

    def by_month(self, firms: Array, dates, amounts: Array) -> Array:
        """Sums amounts of dated rows into (months × firms); rows outside the run or of other parties do not count."""
        firms, dates = np.asarray(firms), np.asarray(dates, "datetime64[D]")
        inside = (firms >= 0) & (firms < self.firms) & (dates >= self.days[0]) & (dates <= self.days[-1])
        month = self.month_of_day[(dates[inside] - self.days[0]).astype(np.int64)]
        cell = month * self.firms + firms[inside]
        sums = np.zeros(len(self.months) * self.firms, np.int64)
        np.add.at(sums, cell, np.asarray(amounts)[inside].astype(np.int64))
        return sums.reshape(len(self.months), self.firms)


def noise(rng: np.random.Generator, shape, sigma: float) -> Array:
    """Log-normal noise with mean one, float32."""
    return np.exp(sigma * rng.standard_normal(shape, dtype=np.float32) - sigma * sigma / 2)
