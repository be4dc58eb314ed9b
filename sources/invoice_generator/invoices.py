"""Sale and purchase invoices drawn from the firms' fortunes, in integer fen, one row per invoice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.invoice_generator.calendar import Calendar
from sources.invoice_generator.economy import ECONOMY
from sources.invoice_generator.fortunes import Fortunes

SALE, PURCHASE = "sale", "purchase"
COLUMNS = ("firm", "number", "day", "partner", "amount_fen", "tax_fen", "total_fen", "void", "red")
PARTNER_PREFIX = {SALE: "B", PURCHASE: "A"}


def draw_invoices(
    rng: np.random.Generator, calendar: Calendar, firms: pd.DataFrame, fortunes: Fortunes, direction: str
) -> pd.DataFrame:
    """Invoices of one direction (COLUMNS, plus red_unmatched), ordered by firm, day and number.

    firm: row of `firms`; day: datetime64[D]; void and red: bool; red letters carry negative amounts.
    """
    counts = rng.poisson(_intensity(rng, calendar, firms, fortunes, direction))
    firm, month = np.nonzero(counts)
    repeat = counts[firm, month]
    firm, month = np.repeat(firm, repeat), np.repeat(month, repeat)
    stress = fortunes.stress[firm, month]
    amount, tax = _amounts(rng, firms, fortunes, firm, month, direction)
    void_chance = firms["void_share"].to_numpy()[firm] + ECONOMY.stress_void_lift * stress
    blue = pd.DataFrame(
        {
            "firm": firm,
            "day": calendar.draw_days(rng, month),
            "partner": _partners(rng, firms, firm, month, stress, direction),
            "amount_fen": amount,
            "tax_fen": tax,
            "void": rng.random(len(firm)) < void_chance,
            "red": False,
            "red_unmatched": False,
        }
    )
    invoices = pd.concat([blue, _red_letters(rng, calendar, blue)], ignore_index=True)
    invoices["total_fen"] = invoices["amount_fen"] + invoices["tax_fen"]
    invoices = invoices.sort_values(["firm", "day"], kind="stable", ignore_index=True)
    invoices["number"] = _numbers(rng, invoices["firm"].to_numpy(), direction)
    return invoices[[*COLUMNS, "red_unmatched"]]


def _intensity(
    rng: np.random.Generator, calendar: Calendar, firms: pd.DataFrame, fortunes: Fortunes, direction: str
) -> np.ndarray:
    """[N, M] expected invoices. Half of a change of sales shows in their number, half in their size."""
    yearly = firms["sale_invoices" if direction == SALE else "purchase_invoices"].to_numpy()
    log_shape = (np.log(ECONOMY.burst_shape_calm) + ECONOMY.burst_shape_quality_slope * firms["quality"].to_numpy())[
        :, None
    ]
    shape = np.exp(log_shape + np.log(ECONOMY.burst_shape_stress / ECONOMY.burst_shape_calm) * fortunes.stress)
    bursts = rng.gamma(shape) / shape
    return yearly[:, None] / 12 * calendar.activity() * np.exp(_log_level(fortunes, direction) / 2) * bursts


def _log_level(fortunes: Fortunes, direction: str) -> np.ndarray:
    """[N, M] log of trade against base; purchases are cut deeper in stress."""
    if direction == SALE:
        return fortunes.log_sales
    extra = ECONOMY.stress_purchase_drop - ECONOMY.stress_sales_drop
    return fortunes.log_sales - extra * fortunes.stress


def _amounts(
    rng: np.random.Generator,
    firms: pd.DataFrame,
    fortunes: Fortunes,
    firm: np.ndarray,
    month: np.ndarray,
    direction: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Tax-exclusive amount and tax of each invoice, in fen."""
    yearly = firms["sales_cny"].to_numpy()
    number = firms["sale_invoices"].to_numpy()
    rate = firms["vat_rate"].to_numpy()[firm]
    if direction == PURCHASE:
        yearly = yearly * firms["cost_share"].to_numpy()
        number = firms["purchase_invoices"].to_numpy()
        rate = rng.choice([0.13, 0.06, 0.03], len(firm), p=[0.72, 0.16, 0.12])
    level = np.exp(_log_level(fortunes, direction)[firm, month] / 2)
    mean = (yearly / number)[firm] * level
    noise = np.exp(ECONOMY.ticket_sigma * rng.standard_normal(len(firm)) - ECONOMY.ticket_sigma**2 / 2)
    total = mean * noise * (1 + rate)
    agreed_round = rng.random(len(firm)) < ECONOMY.round_share
    total = np.where(agreed_round, np.maximum((total / 1000).round(), 1) * 1000, np.maximum(total, 1))
    amount = np.rint(total * 100 / (1 + rate)).astype(np.int64)
    tax = np.rint(amount * rate).astype(np.int64)
    return amount, tax


def _partners(
    rng: np.random.Generator,
    firms: pd.DataFrame,
    firm: np.ndarray,
    month: np.ndarray,
    stress: np.ndarray,
    direction: str,
) -> np.ndarray:
    """Counterparty codes. A firm holds slots, a few of them large; what fills a slot changes over time."""
    yearly = firms["sale_invoices" if direction == SALE else "purchase_invoices"].to_numpy()
    breadth = np.exp(ECONOMY.customers_quality_slope * firms["quality"].to_numpy())
    slots = np.maximum(1.3 * yearly**0.8 * breadth, 2.0)[firm]
    kept = slots * (1 - ECONOMY.stress_narrowing * stress) if direction == SALE else slots
    slot = np.floor(kept * rng.random(len(firm)) ** 2.4).astype(np.uint64)
    key = firm.astype(np.uint64) * np.uint64(100_003) + slot
    life = ECONOMY.partner_life_months * np.exp(0.15 * firms["quality"].to_numpy()[firm])
    epoch = np.floor(month / life + _uniform(key)).astype(np.uint64)
    salt = np.uint64(1 if direction == SALE else 2)
    share = _uniform((key * np.uint64(131) + epoch) * np.uint64(7) + salt)
    pool = ECONOMY.buyers if direction == SALE else ECONOMY.sellers
    code = np.floor(pool * share**ECONOMY.popularity).astype(int) + 1
    return np.char.add(PARTNER_PREFIX[direction], np.char.zfill(code.astype(str), 5))


def _uniform(key: np.ndarray) -> np.ndarray:
    """A number in [0, 1) fixed by each key (splitmix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = key + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)) / float(1 << 53)


def _red_letters(rng: np.random.Generator, calendar: Calendar, blue: pd.DataFrame) -> pd.DataFrame:
    """Negative invoices that follow some valid ones: the whole amount back, or, unmatched, another sum."""
    chosen = ~blue["void"] & (rng.random(len(blue)) < ECONOMY.red_share)
    red = blue[chosen].copy()
    lag = (1 + rng.exponential(ECONOMY.red_lag_days, len(red))).astype("timedelta64[D]")
    unmatched = rng.random(len(red)) < ECONOMY.red_unmatched_share
    factor = np.where(unmatched, rng.uniform(0.2, 0.9, len(red)), 1.0)
    red["day"] = red["day"].to_numpy() + lag
    for column in ("amount_fen", "tax_fen"):
        red[column] = -np.rint(red[column] * factor).astype(np.int64)
    red["void"] = rng.random(len(red)) < ECONOMY.void_share / 3
    red["red"] = True
    red["red_unmatched"] = unmatched
    return red[red["day"] < np.datetime64(calendar.end)]


def _numbers(rng: np.random.Generator, firm: np.ndarray, direction: str) -> np.ndarray:
    """8-digit numbers: a firm's own sale invoices run on, suppliers' numbers come from anywhere."""
    if direction == PURCHASE:
        return rng.integers(10_000_000, 99_999_999, len(firm))
    first = np.concatenate([[True], firm[1:] != firm[:-1]])
    position = np.arange(len(firm))
    within = position - np.maximum.accumulate(np.where(first, position, 0))
    start = rng.integers(1_000_000, 89_000_000, int(firm.max()) + 1)
    return start[firm] + within
