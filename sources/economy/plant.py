"""Plans the planted behaviour that the kernel must carry out: money that moves in circles, invoices without goods.

What needs no money (false counts, false readings, false statements) is chosen after the run, see `planted.after`.
Amounts are scaled to what a firm of its staff and prices sells; a transfer that the payer cannot cover is dropped by
the kernel, as a bank would.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from sources.economy.interface import (
    CARRIER,
    CHANNELS,
    CORE,
    DEALER,
    FAKE_INVOICE,
    FARM,
    MANUFACTURER,
    MERCHANT,
    PURPOSES,
    RETAILER,
    SHAVED,
    SHAVED_DUES,
    TRANSFER,
    Plan,
    Population,
)
from sources.economy.planted.catalogue import (
    AT_FIRST_BANK,
    KIND,
    LOOK_ALIKES_AT_STANDARD,
    episodes_wanted,
)
from sources.economy.planted.choose import draw_windows, numbered, rows
from sources.economy.schema import HOUSEHOLDS, OUTSIDE

ALWAYS = 2**30
RING_EPISODES = 3  # a ring comes back before each round of loans
ROUNDS = 4  # times the same money goes around in a month
COMMISSION = 0.004
CIRCLES_TIED = 2.0  # planned circles per wanted one: some never guarantee each other
LOAN_TAKERS = 3.6  # planned diverters per wanted one: not every firm gets a loan
LEAST_TAKERS = 10

TRANSFER_CHANNEL, POS_CHANNEL, PAYROLL_CHANNEL = (CHANNELS.index(c) for c in ("transfer", "pos", "payroll"))


def plan(population: Population, calendar, rng: np.random.Generator) -> Plan:
    """The plan of a world: transfers and invoices by day, diverted loans, and the first rows of `planted`."""
    drafts = _Drafts(population, calendar, rng)
    _invoice_rings(drafts)
    _fake_sales(drafts)
    _padded_payroll(drafts)
    _pos_rings(drafts)
    _understated_sales(drafts)
    _collectors(drafts)
    _understated_heads(drafts)
    _diverted_loans(drafts)
    _guarantee_circles(drafts)
    _application_rings(drafts)
    transfers = np.concatenate(drafts.transfers) if drafts.transfers else np.zeros(0, TRANSFER)
    invoices = np.concatenate(drafts.invoices) if drafts.invoices else np.zeros(0, FAKE_INVOICE)
    inside = (transfers["day"] < calendar.days) & (transfers["amount_fen"] > 0)
    written = (invoices["day"] < calendar.days) & (invoices["amount_fen"] > 0)
    planted = numbered(drafts.episodes, 0)
    return Plan(
        transfers=transfers[inside][np.argsort(transfers[inside]["day"], kind="stable")],
        invoices=invoices[written][np.argsort(invoices[written]["day"], kind="stable")],
        diverted=drafts.diverted,
        planted=pa.Table.from_pandas(planted, preserve_index=False) if len(planted) else None,
        shaved=np.array(drafts.shaved, SHAVED),
    )


class _Drafts:
    """What is planned so far, and the draws that all kinds share."""

    def __init__(self, population: Population, calendar, rng: np.random.Generator) -> None:
        self.population, self.calendar, self.rng = population, calendar, rng
        self.episodes: list[dict] = []
        self.transfers: list[np.ndarray] = []
        self.invoices: list[np.ndarray] = []
        self.diverted: dict[int, tuple[float, int]] = {}
        self.shaved: list[tuple] = []
        self.tied = np.zeros(0, int)  # owners who share a phone or an address: they share with nobody else
        years = calendar.days / 365.25
        firms = int((population.founded <= 0).sum())
        self.wanted = episodes_wanted(firms, years)
        self.alike = episodes_wanted(firms, years, LOOK_ALIKES_AT_STANDARD)
        self.monthly_sales = np.maximum(population.staff * population.productivity * population.price * 14.0, 1e5)
        self.workdays = np.flatnonzero(calendar.world("workday"))

    def able(self, *kinds: int, least_staff: int = 0) -> np.ndarray:
        keep = np.isin(self.population.kind, kinds) & (self.population.staff >= least_staff)
        return np.flatnonzero(keep)

    def draw(self, name: str, able: np.ndarray, count: int, dishonest: bool = True):
        """Windows of a kind; an honest look-alike lies nowhere else, and nobody who looks alike becomes a liar."""
        population = self.population
        taken = [f for row in self.episodes if not dishonest or row["look_alike"] for f in row["firm_ids"]]
        free = np.setdiff1d(able, np.array(taken, int))
        far, days = np.full(population.n, ALWAYS), self.calendar.days
        founded, honesty = population.founded, population.honesty
        size = np.log(self.monthly_sales) if name == "invoice_ring" else None
        return draw_windows(KIND[name], count, free, honesty, founded, far, days, self.rng, dishonest, size)

    def add(self, name: str, windows, look_alike: bool = False) -> list[tuple[int, dict]]:
        """Keeps the episodes; returns them with the ids that `numbered` will give."""
        new = rows(KIND[name], windows, self.calendar.first_day, look_alike, self.rng)
        start = len(self.episodes)
        self.episodes += new
        return list(enumerate(new, start))

    def workday(self, day: float) -> int:
        """The work day on or after a day."""
        at = np.searchsorted(self.workdays, day)
        return int(self.workdays[min(at, len(self.workdays) - 1)])

    def span(self, row: dict) -> tuple[int, int]:
        first = self.calendar.first_day
        return int((row["from_on"] - first).astype(int)), int((row["to_on"] - first).astype(int))

    def pay(self, day, payer, payee, amount, purpose: str, channel: int, planted_id: int) -> None:
        row = (day, payer, payee, int(amount), PURPOSES.index(purpose), channel, planted_id)
        self.transfers.append(np.array([row], TRANSFER))

    def shave(self, planted_id: int, row: dict, what: str, share: float) -> None:
        first, last = self.span(row)
        self.shaved.append((row["firm_ids"][0], first, last, SHAVED_DUES.index(what), share, planted_id))

    def invoice(self, day, seller, buyer, amount, planted_id: int, voided: int = -1, red: int = -1) -> None:
        red = red if red < self.calendar.days else -1
        self.invoices.append(np.array([(day, seller, buyer, int(amount), voided, red, planted_id)], FAKE_INVOICE))


def _months(first: int, last: int) -> np.ndarray:
    return np.arange(first, last, 30.4)


def _invoice_rings(drafts: _Drafts) -> None:
    """Firms invoice each other around a circle; some money goes around too, and nothing is made."""
    population, rng = drafts.population, drafts.rng
    able = drafts.able(MANUFACTURER, MERCHANT, DEALER, least_staff=3)
    able = able[~population.tax_exempt[able]]
    windows = drafts.draw("invoice_ring", able, -(-drafts.wanted * 3 // (2 * RING_EPISODES)) + 1)
    again = []
    for firms, first, last in windows:
        starts = [first]
        for turn in range(1, RING_EPISODES):
            shift = turn * max(drafts.calendar.days // RING_EPISODES, last - first + 30)
            start = (first + shift) % max(drafts.calendar.days - (last - first), 1)
            if min(abs(start - s) for s in starts) > last - first and population.founded[firms].max() <= start:
                starts.append(start)
        again += [(firms, start, start + last - first) for start in starts]
    for planted_id, row in drafts.add("invoice_ring", again[: drafts.wanted]):
        firms, (first, last) = row["firm_ids"], drafts.span(row)
        level = np.median(drafts.monthly_sales[firms]) * rng.uniform(0.6, 1.1)
        spread = 0.25 if row["knows_rule"] else 0.006
        for start in _months(first, last):
            day = drafts.workday(start + rng.integers(0, 20))
            for seller, buyer in zip(firms, firms[1:] + firms[:1], strict=True):
                late = int(rng.integers(0, 4))
                drafts.invoice(drafts.workday(day + late), seller, buyer, level * rng.normal(1, spread), planted_id)
            back = drafts.workday(day + rng.integers(8, 30))
            for turn in range(ROUNDS):
                money = 0.06 * level * rng.uniform(0.8, 1.2)
                for step, (seller, buyer) in enumerate(zip(firms, firms[1:] + firms[:1], strict=True)):
                    on = back + turn + (step if row["knows_rule"] else 0)
                    part = money * (rng.normal(1, 0.05) if row["knows_rule"] else 1)
                    drafts.pay(on, buyer, seller, part, "goods", TRANSFER_CHANNEL, planted_id)


def _fake_sales(drafts: _Drafts) -> None:
    """Sales to outside firms that never get goods nor pay; reversed by red letters once the loan is out."""
    population, rng = drafts.population, drafts.rng
    able = drafts.able(MANUFACTURER, MERCHANT, DEALER, least_staff=2)
    able = able[~population.tax_exempt[able]]
    for planted_id, row in drafts.add("fake_sales", drafts.draw("fake_sales", able, drafts.wanted)):
        seller, (first, last) = row["firm_ids"][0], drafts.span(row)
        buyers = OUTSIDE + rng.integers(0, max(population.outside, 1), 3)
        for start in _months(first, last):
            for _ in range(int(rng.integers(1, 4))):
                red = last + rng.integers(5, 15) if not row["knows_rule"] else last + rng.integers(10, 180)
                red = min(int(red), drafts.calendar.days - 1 - int(rng.integers(0, 8)))
                amount = drafts.monthly_sales[seller] * rng.uniform(0.25, 0.6)
                day = drafts.workday(start + rng.integers(0, 28))
                drafts.invoice(day, seller, rng.choice(buyers), amount, planted_id, red=int(red))


def _padded_payroll(drafts: _Drafts) -> None:
    """Wages to people who never worked there; the owner brings the money back."""
    population, rng = drafts.population, drafts.rng
    able = drafts.able(MANUFACTURER, MERCHANT, DEALER, RETAILER, CARRIER, least_staff=4)
    windows = drafts.draw("padded_payroll", able, drafts.wanted)
    for planted_id, row in drafts.add("padded_payroll", windows):
        firm, (first, last) = row["firm_ids"][0], drafts.span(row)
        ghosts = max(2, round(population.staff[firm] * rng.uniform(0.4, 0.8)))
        for start in _months(first, last):
            day = drafts.workday(start + 9)
            amount = ghosts * population.wage[firm] * (rng.normal(1, 0.05) if row["knows_rule"] else 1.0)
            drafts.pay(day, firm, HOUSEHOLDS, amount, "wage", PAYROLL_CHANNEL, planted_id)
            parts = 3 if row["knows_rule"] else 1
            for part in range(parts):
                drafts.pay(
                    drafts.workday(day + 1 + 2 * part), HOUSEHOLDS, firm, 0.96 * amount / parts, "capital",
                    TRANSFER_CHANNEL, planted_id,
                )  # fmt: skip
    _second_runs(drafts, able)


def _second_runs(drafts: _Drafts, able: np.ndarray) -> None:
    """Honest: piece wages of helpers in the high season, paid and kept by them; nobody insures them for a few weeks."""
    population, rng = drafts.population, drafts.rng
    windows = drafts.draw("padded_payroll", able, drafts.alike, dishonest=False)
    for planted_id, row in drafts.add("padded_payroll", windows, True):
        firm, (first, last) = row["firm_ids"][0], drafts.span(row)
        helpers = max(1, round(population.staff[firm] * rng.uniform(0.25, 0.4)))
        for start in _months(first, min(last, first + 122)):
            amount = helpers * population.wage[firm] * rng.uniform(0.5, 0.8)
            drafts.pay(drafts.workday(start + 9), firm, HOUSEHOLDS, amount, "wage", PAYROLL_CHANNEL, planted_id)


def _understated_sales(drafts: _Drafts) -> None:
    """Merchants that declare a part of their sales; those who know the rule stay nearer to what their peers declare."""
    rng = drafts.rng
    able = drafts.able(RETAILER, DEALER, MERCHANT)
    able = able[~drafts.population.tax_exempt[able]]
    for planted_id, row in drafts.add("understated_sales", drafts.draw("understated_sales", able, drafts.wanted)):
        share = rng.uniform(0.6, 0.75) if row["knows_rule"] else rng.uniform(0.35, 0.6)
        drafts.shave(planted_id, row, "vat", share)


def _understated_heads(drafts: _Drafts) -> None:
    """Firms that insure a part of their heads; honest ones whose labour an agency sends and insures look alike."""
    population, rng = drafts.population, drafts.rng
    able = np.flatnonzero((population.staff >= 8) & (population.kind != CORE))
    for look_alike, count in ((False, drafts.wanted), (True, drafts.alike)):
        windows = drafts.draw("understated_heads", able, count, dishonest=not look_alike)
        for planted_id, row in drafts.add("understated_heads", windows, look_alike):
            drafts.shave(planted_id, row, "social", rng.uniform(0.4, 0.65))


def _collectors(drafts: _Drafts) -> None:
    """Honest: a co-operative or market takes its members' money at its terminal and passes it on within the week."""
    rng = drafts.rng
    able = drafts.able(RETAILER, MERCHANT)
    windows = drafts.draw("understated_sales", able, drafts.alike, dishonest=False)
    for planted_id, row in drafts.add("understated_sales", windows, True):
        firm, (first, last) = row["firm_ids"][0], drafts.span(row)
        daily = drafts.monthly_sales[firm] / 30.0 * rng.uniform(0.5, 0.9)
        for day in range(first, last, 3):
            amount = 3 * daily * rng.uniform(0.7, 1.3)
            drafts.pay(day, HOUSEHOLDS, firm, amount, "retail", POS_CHANNEL, planted_id)
            for part in rng.dirichlet(np.full(4, 3.0)) * amount * 0.995:  # members are households themselves
                day_back = day + 2 + int(rng.integers(0, 5))
                drafts.pay(day_back, firm, HOUSEHOLDS, part, "dividend", TRANSFER_CHANNEL, planted_id)


def _pos_rings(drafts: _Drafts) -> None:
    """A merchant's own circle swipes cards at its terminal; the money goes back the next day, the fee is lost."""
    rng = drafts.rng
    able = drafts.able(RETAILER, DEALER)
    for planted_id, row in drafts.add("pos_ring", drafts.draw("pos_ring", able, drafts.wanted)):
        firm, (first, last) = row["firm_ids"][0], drafts.span(row)
        daily = drafts.monthly_sales[firm] / 30.0 * rng.uniform(0.6, 1.2)
        for day in range(first, last):
            if rng.random() > 0.5:
                continue
            amount = daily * 2 * rng.uniform(0.6, 1.4)
            if not row["knows_rule"]:
                amount = max(round(amount / 1e5), 1) * 1e5  # whole thousands of yuan
            drafts.pay(day, HOUSEHOLDS, firm, amount, "retail", POS_CHANNEL, planted_id)
            back = amount * (1 + COMMISSION)  # those who lend their cards are paid; the terminal's fee is lost too
            drafts.pay(day + 1, firm, HOUSEHOLDS, back, "dividend", TRANSFER_CHANNEL, planted_id)
    drafts.add("pos_ring", drafts.draw("pos_ring", drafts.able(RETAILER), drafts.alike, dishonest=False), True)


def _diverted_loans(drafts: _Drafts) -> None:
    """Owners who take out a large share of every loan on the day it is paid; dates follow from the loans."""
    population, rng = drafts.population, drafts.rng
    able = drafts.able(MANUFACTURER, MERCHANT, DEALER, RETAILER, FARM)
    able = np.setdiff1d(able, [f for row in drafts.episodes if row["look_alike"] for f in row["firm_ids"]])
    weight = np.exp(-4.0 * population.honesty[able])
    size = min(max(round(drafts.wanted * LOAN_TAKERS), LEAST_TAKERS), len(able))
    firms = rng.choice(able, size, replace=False, p=weight / weight.sum())
    windows = [(np.array([f]), max(int(population.founded[f]), 0), drafts.calendar.days - 1) for f in firms]
    for planted_id, row in drafts.add("diverted_loan", windows):
        share = rng.uniform(0.35, 0.55) if row["knows_rule"] else rng.uniform(0.6, 0.9)
        drafts.diverted[row["firm_ids"][0]] = (float(share), planted_id)


def _guarantee_circles(drafts: _Drafts) -> None:
    """Some circles of mutual guarantees are kin under different names: their owners share a home."""
    population, rng = drafts.population, drafts.rng
    circles = np.unique(population.circle[population.circle >= 0])
    circles = rng.permutation(circles)[: round(drafts.wanted * CIRCLES_TIED)]
    windows = []
    for circle in circles:
        firms = np.flatnonzero(population.circle == circle)[: KIND["guarantee_circle"].group[1]]
        owners = population.owner[firms]
        if len(firms) >= 2 and not np.isin(owners, drafts.tied).any():
            drafts.tied = np.union1d(drafts.tied, owners)
            windows.append((firms, max(int(population.founded[firms].max()), 0), drafts.calendar.days - 1))
    for _, row in drafts.add("guarantee_circle", windows):
        owners = population.owner[row["firm_ids"]]
        if rng.random() < AT_FIRST_BANK:
            population.lot[row["firm_ids"]] = 0.0
        share = ["phone"] if row["knows_rule"] else ["address", "phone"]
        for column in share:
            _share(population, "person", "person_id", owners, column, rng)


def _application_rings(drafts: _Drafts) -> None:
    """Firms of different names whose applications come from one device within days."""
    population, rng = drafts.population, drafts.rng
    able = drafts.able(MERCHANT, DEALER, RETAILER, MANUFACTURER)
    able = able[(population.staff[able] <= 30) & (population.circle[able] < 0) & (population.group[able] < 0)]
    able = able[~np.isin(population.owner[able], drafts.tied)]
    windows = _apart(drafts.draw("application_ring", able, 2 * drafts.wanted))[: drafts.wanted]
    for _, row in drafts.add("application_ring", windows):
        owners = population.owner[row["firm_ids"]]
        _share(population, "person", "person_id", owners, "device_id", rng)
        if not row["knows_rule"]:
            _share(population, "person", "person_id", owners, "phone", rng)
            _share(population, "firm", "firm_id", row["firm_ids"], "address", rng)
    for _, row in drafts.add(
        "application_ring", _apart(drafts.draw("application_ring", able, drafts.alike, False)), True
    ):
        _share(population, "firm", "firm_id", row["firm_ids"], "address", rng)
        _share(population, "firm", "firm_id", row["firm_ids"], "phone", rng)


def _apart(windows):
    """Only windows whose firms are in no earlier one: what is shared is shared for life."""
    used: set[int] = set()
    out = []
    for firms, first, last in windows:
        if used.isdisjoint(map(int, firms)):
            used.update(map(int, firms))
            out.append((firms, first, last))
    return out


def _share(population: Population, table: str, key: str, ids, column: str, rng: np.random.Generator) -> None:
    """Gives all rows of `ids` the value that one of them has."""
    frame = population.tables[table]
    place = pd.Index(frame[key].to_numpy()).get_indexer(np.asarray(ids))
    place = place[place >= 0]
    if len(place) < 2:
        return
    values = frame[column].to_pylist()
    common = values[int(rng.choice(place))]
    for at in place:
        values[at] = common
    at = frame.schema.get_field_index(column)
    population.tables[table] = frame.set_column(
        at, frame.schema.field(at), pa.array(values, frame.schema.field(at).type)
    )
