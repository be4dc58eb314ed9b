"""Writes a world: population, plan, the days, what follows from them, `world.json`."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.economy import calendar as calendars
from sources.economy import kernel, params, population
from sources.economy.interface import (
    CARRIER,
    CHAINS,
    CHANNELS,
    PURPOSES,
    Plan,
    Population,
    WorldData,
    stream,
)
from sources.economy.kernel import Run
from sources.economy.records import FAR, Writer, days_to_dates, mix, typed, words
from sources.economy.schema import FIRST_BANK, OUTSIDE
from sources.economy.state import BAD, CAUSES, INVOICE, LINKS, LOANS, ORDER, REPAID, RUNNING, SECURITIES, Books, Knobs

STEPS = ("raw", "blank", "part", "module", "unit", "product", "wholesale", "retail", "", "")
GOODS = [f"{chain}_{step}" if step else "none" for chain in CHAINS for step in STEPS]
GOODS += ["none"] * (99 - len(GOODS)) + ["service"]
COMMODITY = ("aluminium", "hot_rolled_coil", "cement", "cotton", "soybean_meal", "urea", "polypropylene", "diesel")
PRODUCTS = ("bullet", "instalment")
REASONS = ("none", "score", "too_young", "limit")
APPLIED_FOR = ("working_capital", "growth", "renewal")
REWRITTEN_PER_MILLE = 9  # invoices first written with a wrong heading (assumed)
LOAN_STATUS = ("running", "repaid", "bad", "written_off")
# A debtor's loans at a bank are all bad when more than a tenth of them is (rules on the risk classification of
# financial assets of commercial banks, 2023).
SPOILS, SUBSTANDARD = 0.1, 2
CLASSES = ("normal", "special_mention", "substandard", "doubtful", "loss")


def prepare(
    firms: int,
    years: float,
    seed: int,
    first_day: str,
    plant: bool = True,
    knobs: Knobs | None = None,
    burn: int = kernel.BURN,
) -> Run:
    """Population, calendar and plan of a world, and its run at the start of the burn-in."""
    days = round(years * 365.25)
    pop = population.create(firms, years, seed, np.datetime64(first_day, "D"))
    calendar = calendars.build(first_day, days, burn)
    plan = Plan()
    if plant and importlib.util.find_spec("sources.economy.plant"):
        from sources.economy import plant as planting

        plan = planting.plan(pop, calendar, stream(seed, "plan"))
    return kernel.start(pop, calendar, plan, knobs, burn)


def generate(
    firms: int,
    years: float,
    seed: int,
    out: Path,
    first_day: str = "2019-01-01",
    plant: bool = True,
    content: bool = True,
    progress: Callable[[int, int], None] | None = None,
    knobs: Knobs | None = None,
) -> dict[str, Any]:
    """Writes the world of a seed to `out` (replaced if it holds one) and returns the facts of its `world.json`."""
    began = time.monotonic()
    out = Path(out)
    if (out / "world.json").exists():
        shutil.rmtree(out)
    writer = Writer(out)
    run = prepare(firms, years, seed, first_day, plant, knobs)
    spill = out / ".raw"
    shutil.rmtree(spill, ignore_errors=True)
    spill.mkdir()
    books = Spill(spill, writer, run)
    kernel.record(run, 60_000 + 80 * run.population.n)
    while run.day < run.calendar.days:
        if run.day == 0:
            books.keep_loans(kernel.take_books(run))
            kernel.record(run, 60_000 + 80 * run.population.n)
            writer_eve(run, writer)
        month_end = run.day >= 0 and run.calendar.month[run.day + run.calendar.burn] != following_month(run)
        kernel.step(run)
        if month_end:
            books.month(kernel.take_books(run))
        if progress:
            progress(run.day, run.calendar.days)
    kernel.finish_history(run)
    books.finish()
    simulated = time.monotonic() - began
    world = world_data(run, writer)
    write_population(run, writer)
    if content and importlib.util.find_spec("sources.economy.content"):
        from sources.economy import content as contents

        if hasattr(contents, "derive"):
            contents.derive(world)  # writes the table `planted` too, once it is known what came of the plan
    else:
        write_plan(run, writer)
    shutil.rmtree(spill)
    facts = {
        "seed": seed,
        "firms": firms,
        "years": years,
        "plant": plant,
        "first_day": str(run.calendar.dates[run.calendar.burn]),
        "last_day": str(run.calendar.dates[-1]),
        "parameters": run.state.k._asdict(),
        "seconds": {"kernel": round(simulated, 1), "all": round(time.monotonic() - began, 1)},
    }
    return writer.close(facts)


def following_month(run: Run) -> int:
    """Month of the next day; a month that never comes after the last."""
    at = run.day + run.calendar.burn + 1
    return int(run.calendar.month[at]) if at < len(run.calendar.month) else FAR


class Spill:
    """Takes the kernel's rows month by month: most go straight to Parquet, orders and invoices wait on disk until their
    cancelling or settling day is known."""

    def __init__(self, folder: Path, writer: Writer, run: Run) -> None:
        self.folder, self.writer, self.run = folder, writer, run
        self.settled: list[np.ndarray] = []
        self.cancelled: list[np.ndarray] = []
        self.small: dict[str, list[np.ndarray]] = {k: [] for k in ("repayment", "application", "enquiry", "default")}
        self.count = 0
        self.carriers = np.flatnonzero((run.population.kind == CARRIER) & (run.population.founded <= 0))
        self.fakes = np.sort(run.plan.invoices, order="day")
        self.fake_at = 0
        self.fake_orders: dict[int, int] = {}  # order → planted id
        self.fake_invoices: dict[tuple[int, int, int], int] = {}  # planted id, seller, buyer → newest invoice

    @property
    def first_day(self) -> np.datetime64:
        return self.run.calendar.first_day

    def dates(self, days: np.ndarray) -> pa.Array:
        return days_to_dates(days, self.first_day)

    def keep_loans(self, books: Books) -> None:
        """Rows on loans from before the first day."""
        for name, parts in self.small.items():
            parts.append(getattr(books, name))

    def month(self, books: Books) -> None:
        """The rows of a month."""
        self.keep_loans(books)
        self.settled.append(books.settle)
        self.cancelled.append(books.cancel)
        invoices, orders = self.planted()
        np.save(self.folder / f"order-{self.count}.npy", np.concatenate([books.order, orders]))
        rewritten = self.rewritten(books.invoice)
        np.save(self.folder / f"invoice-{self.count}.npy", np.concatenate([books.invoice, rewritten, invoices]))
        self.count += 1
        self.payments(books.payment)
        self.deliveries(books.delivery)
        self.firm_days()
        self.loan_status()

    def rewritten(self, rows: np.ndarray) -> np.ndarray:
        """Invoices with a wrong heading before some of the month's, each reversed on the day of the right one.

        Pairs of equal amounts within one month: sums by firm and month stay as they were.
        """
        blue = (rows[:, 5] > 0) & (rows[:, 8] == FAR) & (rows[:, 9] == -1) & (rows[:, 4] >= 0)
        at = np.flatnonzero(blue & (mix(rows[:, 0].astype(np.uint64)) % np.uint64(1000) < REWRITTEN_PER_MILLE))
        calendar = self.run.calendar
        since = calendar.day_of_month[rows[at, 4] + calendar.burn] - 1
        before = np.minimum(1 + rows[at, 0] % 12, since)
        at, before = at[before > 0], before[before > 0]
        number = int(self.run.state.seq[INVOICE]) + 2 * np.arange(len(at))
        self.run.state.seq[INVOICE] += 2 * len(at)
        wrong, red = rows[at].copy(), rows[at].copy()
        wrong[:, 0], wrong[:, 4] = number, wrong[:, 4] - before
        red[:, 0], red[:, 5:8], red[:, 9], red[:, 12] = number + 1, -red[:, 5:8], number, red[:, 4]
        return np.concatenate([wrong, red])

    def planted(self) -> tuple[np.ndarray, np.ndarray]:
        """Planned invoices up to today, the orders made up for them; a reversed one brings its red letter."""
        end = int(np.searchsorted(self.fakes["day"], self.run.day - 1, side="right"))
        rows = self.fakes[self.fake_at : end]
        self.fake_at = end
        seq = self.run.state.seq
        invoices, orders = [], []
        for r in rows:
            number, order = int(seq[INVOICE]), int(seq[ORDER])
            tax = round(int(r["amount_fen"]) * float(self.run.calendar.vat[int(r["day"]) + self.run.calendar.burn]))
            good = self.good(int(r["seller"]))
            amount, day = int(r["amount_fen"]), int(r["day"])
            void = FAR if r["voided_day"] < 0 else int(r["voided_day"])
            base = [int(r["seller"]), int(r["buyer"]), good]
            mark = int(r["planted_id"])
            invoices.append([number, *base, day, amount, tax, amount + tax, void, -1, order, -1, day + 60, mark])
            seq[INVOICE] = number + 1
            if r["red_day"] >= 0:
                red = int(r["red_day"])
                back = [-amount, -tax, -amount - tax, FAR, number, order, -1]
                invoices.append([number + 1, *base, red, *back, red, mark])
                seq[INVOICE] = number + 2
            price = max(int(self.run.population.price[int(r["seller"])]) if r["seller"] < OUTSIDE else 10_000, 1)
            units = max(amount // price, 1)
            ordered = max(day - 5 - number % 20, 0)
            orders.append([order, base[1], base[0], good, units, price, units * price, ordered, day])
            seq[ORDER] = order + 1
            self.fake_orders[order] = mark
            self.fake_invoices[mark, base[0], base[1]] = number
        return np.array(invoices, "i8").reshape(-1, 14), np.array(orders, "i8").reshape(-1, 9)

    def good(self, firm: int) -> int:
        f = self.run.state.firm
        return int(f["chain"][firm]) * 10 + int(f["depth"][firm]) if firm < len(f) else 99

    def payments(self, p: np.ndarray) -> None:
        goods = PURPOSES.index("goods")
        for row in np.flatnonzero((p[:, 10] >= 0) & (p[:, 6] == goods)):  # money in a circle names the papers it is for
            p[row, 7] = self.fake_invoices.get((int(p[row, 10]), int(p[row, 2]), int(p[row, 1])), -1)
        base = self.first_day.astype("datetime64[s]").astype("i8")
        self.writer.write(
            "payment",
            {
                "payment_id": p[:, 0],
                "payer_id": p[:, 1].astype("i4"),
                "payee_id": p[:, 2].astype("i4"),
                "paid_at": (p[:, 3] + base).astype("datetime64[s]"),
                "amount_fen": p[:, 4],
                "channel": words(p[:, 5], CHANNELS),
                "purpose": words(p[:, 6], PURPOSES),
                "invoice_id": optional(p[:, 7]),
                "loan_id": optional(p[:, 8]),
                "reverses_id": optional(p[:, 9]),
                "planted_id": optional(p[:, 10]),
            },
        )

    def deliveries(self, d: np.ndarray) -> None:
        carrier = self.carriers[(d[:, 0] * 31) % len(self.carriers)] if len(self.carriers) else np.full(len(d), -1)
        self.writer.write(
            "delivery",
            {
                "delivery_id": d[:, 0],
                "order_id": d[:, 1],
                "seller_id": d[:, 2].astype("i4"),
                "buyer_id": d[:, 3].astype("i4"),
                "good": words(d[:, 4], GOODS),
                "quantity_units": d[:, 5].astype("i4"),
                "shipped_on": self.dates(d[:, 6]),
                "received_on": self.dates(d[:, 7]),
                "carrier_id": optional(carrier),
            },
        )

    def firm_days(self) -> None:
        """The month's rows of firm_day and sector_day."""
        run, h = self.run, self.run.history
        end = run.day
        month = run.calendar.month[run.calendar.burn : run.calendar.burn + end]
        begin = int(np.searchsorted(month, month[-1]))
        d = {name: values[begin:end] for name, values in h.daily.items()}
        alive = d["active"] | (d["cash_fen"] != 0) | (d["receivable_fen"] != 0) | (d["payable_fen"] != 0)
        day, firm = np.nonzero(alive)
        names = {"utilisation": "utilisation_ratio"}
        columns = {names.get(k, k): v[day, firm] for k, v in d.items() if k != "active"}
        self.writer.write("firm_day", columns | {"day": self.dates(day + begin), "firm_id": firm.astype("i4")})
        cash = h.sectors[begin + 1 : end + 1]
        sector_rows(self.writer, cash, np.arange(begin, end), self.first_day)

    def loan_status(self) -> None:
        """Balance, days past due and class of every loan at the month's end."""
        s, t = self.run.state, self.run.day - 1
        loans = s.loan[: s.seq[LOANS]]
        live = np.flatnonzero(np.isin(loans["status"], [RUNNING, BAD]))
        x = loans[live]
        due = x["start"] + x["at"].astype("i8") * 365 // 12
        late = np.where(x["at"] <= x["months"], np.maximum(0, t - due), 0)
        debtor = np.unique(x["firm"] * 100 + x["bank"], return_inverse=True)[1]
        owed, bad = np.bincount(debtor, x["balance"]), np.bincount(debtor, x["balance"] * (late > 90))
        spoiled = (bad > SPOILS * owed)[debtor]
        standing = np.searchsorted([1, 91, 271, 361], late, side="right")
        self.writer.write(
            "loan_status",
            {
                "loan_id": live,
                "month": self.dates(np.full(len(live), t)),
                "balance_fen": x["balance"],
                "days_past_due": np.minimum(late, 32000).astype("i2"),
                "class": words(np.where(spoiled, np.maximum(standing, SUBSTANDARD), standing), CLASSES),
            },
        )

    def finish(self) -> None:
        """Orders and invoices with their ends, and everything on loans."""
        settled = dated(self.settled, int(self.run.state.seq[INVOICE]))
        cancelled = dated(self.cancelled, int(self.run.state.seq[0]))
        for part in range(self.count):
            self.orders(np.load(self.folder / f"order-{part}.npy"), cancelled)
            self.invoices(np.load(self.folder / f"invoice-{part}.npy"), settled)
        self.loans()

    def orders(self, o: np.ndarray, cancelled: np.ndarray) -> None:
        self.writer.write(
            "trade_order",
            {
                "order_id": o[:, 0],
                "buyer_id": o[:, 1].astype("i4"),
                "seller_id": o[:, 2].astype("i4"),
                "good": words(o[:, 3], GOODS),
                "quantity_units": o[:, 4].astype("i4"),
                "unit_price_fen": o[:, 5],
                "amount_fen": o[:, 6],
                "ordered_on": self.dates(o[:, 7]),
                "due_on": self.dates(o[:, 8]),
                "cancelled_on": self.dates(cancelled[o[:, 0]]),
                "planted_id": optional(
                    np.array([self.fake_orders.get(number, -1) for number in o[:, 0].tolist()], "i8")
                ),
            },
        )

    def invoices(self, i: np.ndarray, settled: np.ndarray) -> None:
        number = pc.utf8_lpad(pa.array((i[:, 0] * 7919 + 10_000_019) % 10**8).cast(pa.string()), 8, "0")
        self.writer.write(
            "invoice",
            {
                "invoice_id": i[:, 0],
                "invoice_number": number,
                "seller_id": i[:, 1].astype("i4"),
                "buyer_id": i[:, 2].astype("i4"),
                "good": words(i[:, 3], GOODS),
                "issued_on": self.dates(i[:, 4]),
                "amount_fen": i[:, 5],
                "tax_fen": i[:, 6],
                "total_fen": i[:, 7],
                "voided_on": self.dates(i[:, 8]),
                "red_of_id": optional(i[:, 9]),
                "order_id": optional(i[:, 10]),
                # Some sellers never write the shipment on an invoice, others forget it, nor do those who have none.
                "delivery_id": optional(np.where((i[:, 1] % 4 == 0) | (i[:, 0] * 7919 % 10 < 3), -1, i[:, 11])),
                "due_on": self.dates(i[:, 12]),
                "settled_on": self.dates(settled[i[:, 0]]),
                "planted_id": optional(i[:, 13]),
            },
        )

    def loans(self) -> None:
        """Applications, enquiries, loans, schedules, repayments, guarantees, defaults."""
        rows = {k: np.concatenate(v) for k, v in self.small.items()}
        write, dates = self.writer.write, self.dates
        a, e, r, d = rows["application"], rows["enquiry"], rows["repayment"], rows["default"]
        write(
            "loan_application",
            {
                "application_id": a[:, 0],
                "firm_id": a[:, 1].astype("i4"),
                "bank_id": (FIRST_BANK - a[:, 2]).astype("i4"),
                "product": words(a[:, 3], PRODUCTS),
                "applied_on": dates(a[:, 4]),
                "amount_fen": a[:, 5],
                "decided_on": dates(a[:, 6]),
                "decision": words(a[:, 7], ("declined", "approved")),
                "reason": words(np.where(a[:, 8] > 0, a[:, 8], -1), REASONS),
                "purpose": words(a[:, 9], APPLIED_FOR),
                **applicants(self.run.population, a[:, 1]),
            },
        )
        write(
            "bureau_enquiry",
            {
                "enquiry_id": np.arange(len(e)),
                "firm_id": e[:, 0].astype("i4"),
                "bank_id": (FIRST_BANK - e[:, 1]).astype("i4"),
                "enquired_on": dates(e[:, 2]),
                "purpose": words(e[:, 3], ("loan_approval", "post_loan_review")),
            },
        )
        write(
            "loan_repayment",
            {
                "repayment_id": np.arange(len(r)),
                "loan_id": r[:, 0],
                "number": r[:, 1].astype("i2"),
                "paid_on": dates(r[:, 2]),
                "principal_fen": r[:, 3],
                "interest_fen": r[:, 4],
            },
        )
        write(
            "default_event",
            {
                "firm_id": d[:, 0].astype("i4"),
                "loan_id": d[:, 1],
                "first_unpaid_on": dates(d[:, 2]),
                "past_due_30_on": dates(d[:, 3]),
                "past_due_90_on": dates(d[:, 4]),
                "exposure_fen": d[:, 5],
                "cause": words(d[:, 6], CAUSES),
                "contagion_from_id": optional(np.where(d[:, 6] == 1, d[:, 7], -1)),
            },
        )
        self.loan_tables()

    def loan_tables(self) -> None:
        loans = self.run.state.loan[: self.run.state.seq[LOANS]]
        write, dates = self.writer.write, self.dates
        ids = np.arange(len(loans))
        write(
            "loan",
            {
                "loan_id": ids,
                "application_id": optional(loans["app_id"]),
                "firm_id": loans["firm"],
                "bank_id": (FIRST_BANK - loans["bank"]).astype("i4"),
                "product": words(loans["product"], PRODUCTS),
                "principal_fen": loans["principal"],
                "rate_ratio": loans["rate"],
                "started_on": dates(loans["start"]),
                "matures_on": dates(loans["start"] + loans["months"].astype("i8") * 365 // 12),
                "repayment": words(loans["product"], ("interest_monthly_principal_at_end", "equal_principal_monthly")),
                "security": words(loans["security"], SECURITIES),
                "renews_id": optional(loans["renews"]),
                "closed_on": dates(loans["closed"]),
                "status": words(loans["status"], LOAN_STATUS),
                "diverted_ratio": loans["diverted"].astype("f4"),
                "planted_id": optional(loans["planted"]),
            },
        )
        write("loan_schedule", schedules(loans, self.first_day))
        held = np.flatnonzero(loans["guarantor"] >= 0)
        g = loans[held]
        write(
            "guarantee",
            {
                "guarantee_id": np.arange(len(held)),
                "guarantor_id": g["guarantor"],
                "firm_id": g["firm"],
                "loan_id": held,
                "amount_fen": g["principal"],
                "from_on": dates(g["start"]),
                "to_on": dates(np.where(g["status"] == REPAID, g["closed"], FAR)),
                "called_on": dates(g["called"]),
                "paid_fen": g["guaranteed"],
                "contact_phone": applicants(self.run.population, g["guarantor"])["contact_phone"],
            },
        )


def applicants(pop: Population, firm: np.ndarray) -> dict[str, pa.Array]:
    """Device and phone from which a firm's owner applies; the phone that he leaves as a guarantor."""
    person = pop.tables["person"]
    at = np.searchsorted(person["person_id"].to_numpy(), pop.owner[firm])
    return {"device_id": person["device_id"].take(at), "contact_phone": person["phone"].take(at)}


def optional(values: np.ndarray) -> pa.Array:
    """Numbers below zero are null."""
    values = np.asarray(values)
    return pa.array(values, mask=values < 0)


def dated(parts: list[np.ndarray], size: int) -> np.ndarray:
    """Day by number from rows (number, day); FAR where there is none."""
    out = np.full(size + 1, FAR, "i4")
    for rows in parts:
        out[rows[:, 0]] = rows[:, 1]
    return out


def schedules(loans: np.ndarray, first_day: np.datetime64) -> dict[str, Any]:
    """Every instalment of every loan, by the same rules as `finance.interest_of` and `principal_of`."""
    months = loans["months"].astype("i8")
    at = np.repeat(np.arange(len(loans)), months)
    number = np.arange(len(at)) - np.repeat(np.cumsum(months) - months, months) + 1
    x = loans[at]
    due, before = x["start"] + number * 365 // 12, x["start"] + (number - 1) * 365 // 12
    part = x["principal"] // x["months"]
    bullet, last = x["product"] == 0, number == x["months"]
    principal = np.where(
        bullet, np.where(last, x["principal"], 0), np.where(last, x["principal"] - part * (number - 1), part)
    )
    open_ = np.where(bullet, x["principal"], x["principal"] - part * (number - 1))
    interest = np.rint(open_ * x["rate"] * (due - before) / 360.0).astype("i8")
    return {
        "loan_id": at,
        "number": number.astype("i2"),
        "due_on": days_to_dates(due, first_day),
        "principal_fen": principal,
        "interest_fen": interest,
    }


def sector_rows(writer: Writer, cash: np.ndarray, days: np.ndarray, first_day: np.datetime64) -> None:
    """Rows of sector_day for [day, party] cash."""
    parties = np.array([-1, -2, -3, -4, *(FIRST_BANK - k for k in range(params.BANKS))], "i4")
    columns = {
        "day": days_to_dates(np.repeat(days, len(parties)), first_day),
        "party_id": np.tile(parties, len(days)),
        "cash_fen": cash.ravel(),
    }
    writer.write("sector_day", columns)


def writer_eve(run: Run, writer: Writer) -> None:
    """Balances on the eve of the first day, from which the records of money, claims and goods go on."""
    eve = run.history.eve
    f = eve["firm"]
    mine = np.flatnonzero((f["active"] == 1) | (eve["cash_fen"] != 0) | (f["ar"] != 0) | (f["ap"] != 0))
    names = {"utilisation": "utilisation_ratio"}
    columns = {names.get(k, k): f[c][mine] for k, (c, _) in kernel.DAILY.items() if k != "active"}
    columns |= {k: np.zeros(len(mine), "i8") for k in ("sales_fen", "purchases_fen", "arrears_fen")}
    columns["constrained"] = columns["constrained"].astype(bool)
    columns |= {"cash_fen": eve["cash_fen"][mine], "firm_id": mine.astype("i4")}
    columns["day"] = days_to_dates(np.full(len(mine), -1), run.calendar.first_day)
    writer.write("firm_day", columns)
    sector_rows(writer, run.history.sectors[:1], np.array([-1]), run.calendar.first_day)


def world_data(run: Run, writer: Writer) -> WorldData:
    """What content derives from."""
    h, burn = run.history, run.calendar.burn
    f = run.state.firm
    raw = params.RAW_PRICE_FEN * np.exp(h.goods)
    return WorldData(
        population=run.population,
        calendar=run.calendar,
        plan=run.plan,
        first_day=run.calendar.first_day,
        days=run.calendar.days,
        months=run.calendar.months,
        month_of=run.calendar.month[burn:],
        daily=h.daily,
        monthly=h.monthly,
        closed=f["closed"].copy(),
        default_day=f["default_day"].copy(),
        commodity={name: raw[:, c] for c, name in enumerate(COMMODITY)},
        writer=writer,
    )


def write_population(run: Run, writer: Writer) -> None:
    """Firms with what became of them, persons, shares, outside parties, links, calendar, prices."""
    pop, s = run.population, run.state
    firm = pop.tables["firm"]
    borrowed = np.zeros(pop.n, bool)
    borrowed[s.loan["firm"][: s.seq[LOANS]]] = True
    yearly = run.history.monthly["sales_fen"].sum(0) / max(1.0, run.calendar.days / 365.25)
    changed = {
        "closed_on": days_to_dates(s.firm["closed"], run.calendar.first_day),
        "has_bureau_record": pa.array(borrowed),
        "size_class": words(size_class(pop, yearly), ("micro", "small", "medium", "large")),
    }
    for name, values in changed.items():
        firm = firm.set_column(firm.schema.get_field_index(name), firm.schema.field(name), values)
    firm = firm.filter(pa.array(s.firm["closed"] >= 0))
    writer.write("firm", firm)
    for name in ("person", "ownership", "outside_party"):
        writer.write(name, pop.tables[name])
    live = s.link[: s.seq[LINKS]]
    live = live[live["to_day"] >= 0]
    seller, buyer = live["seller"], live["buyer"]
    good = np.array([good_code(s.firm, a, b) for a, b in zip(seller, buyer, strict=True)])
    writer.write(
        "trade_link",
        {
            "link_id": np.arange(len(live)),
            "seller_id": seller.astype("i4"),
            "buyer_id": buyer.astype("i4"),
            "good": words(good, GOODS),
            "share_ratio": live["share"].astype("f4"),
            "terms_days": live["terms"].astype("i2"),
            "from_on": days_to_dates(live["from_day"], run.calendar.first_day),
            "to_on": days_to_dates(live["to_day"], run.calendar.first_day),
        },
    )
    write_calendar(run, writer)
    write_prices(run, writer)


def good_code(firm: np.ndarray, seller: int, buyer: int) -> int:
    """The good of a link, as in `trade.good_of`."""
    if seller < 10_000_000:
        return int(firm["chain"][seller]) * 10 + int(firm["depth"][seller])
    return int(firm["chain"][buyer]) * 10 + max(0, int(firm["depth"][buyer]) - 1)


def size_class(pop: Population, yearly_sales: np.ndarray) -> np.ndarray:
    """0 micro … 3 large by the statistical rules of 2017: agriculture by sales, others by staff and sales."""
    sales = yearly_sales / 100 / 10_000
    kind = np.array(
        ["industry", "industry", "wholesale", "retail", "agriculture", "wholesale", "software", "storage", "transport"]
    )
    rules = {
        "agriculture": ((0, 50), (0, 500), (0, 20000)),
        "industry": ((20, 300), (300, 2000), (1000, 40000)),
        "wholesale": ((5, 1000), (20, 5000), (200, 40000)),
        "retail": ((10, 100), (50, 500), (300, 20000)),
        "transport": ((20, 200), (300, 3000), (1000, 30000)),
        "storage": ((20, 100), (100, 1000), (200, 30000)),
        "software": ((10, 50), (100, 1000), (300, 10000)),
    }
    out = np.zeros(pop.n, "i4")
    for name, steps in rules.items():
        mine = kind[pop.kind] == name
        for level, (staff, money) in enumerate(steps, 1):
            out[mine & (pop.staff >= staff) & (sales >= money)] = level
    return out


def write_calendar(run: Run, writer: Writer) -> None:
    """The table calendar_day."""
    c = run.calendar
    region = c.world("lockdown")
    writer.write(
        "calendar_day",
        {
            "day": c.world("dates"),
            "workday": c.world("workday"),
            "new_year_offset": c.world("new_year_offset"),
            "demand": c.world("demand").astype("f4"),
            "credit": c.world("credit").astype("f4"),
            "rate_ratio": c.world("rate").astype("f4"),
            "vat_ratio": c.world("vat").astype("f4"),
            "rule": [r or None for r in c.rule[c.burn :]],
            "lockdown_region": words(region, [code for code, _ in run.population.regions]),
        },
    )


def write_prices(run: Run, writer: Writer) -> None:
    """Quotes on work days; some days have none, some repeat an old one, and all come out in the late afternoon."""
    rng = stream(run.seed, "prices")
    c = run.calendar
    raw = params.RAW_PRICE_FEN * np.exp(run.history.goods)
    for code, name in enumerate(COMMODITY):
        quoted = c.world("workday") & (rng.random(c.days) > 0.015)
        day = np.flatnonzero(quoted)
        price = np.rint(raw[day, code]).astype("i8")
        stale = np.append(False, rng.random(max(len(day) - 1, 0)) < 0.02)[: len(day)]
        for at in np.flatnonzero(stale):
            price[at] = price[at - 1]
        second = day * 86400 + 61_200 + rng.integers(0, 5400, len(day))
        writer.write(
            "commodity_price",
            {
                "good": [name] * len(day),
                "day": days_to_dates(day, c.first_day),
                "price_fen": price,
                "published_at": c.first_day.astype("datetime64[s]") + second.astype("timedelta64[s]"),
                "stale": stale,
            },
        )


def write_plan(run: Run, writer: Writer) -> None:
    """The table of what was planted."""
    if run.plan.planted is not None:
        writer.write("planted", typed("planted", run.plan.planted))
