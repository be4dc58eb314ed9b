"""What the stages of a world hand to each other: population → plan → daily record → derived content.

`plant.plan(population, calendar, rng) -> Plan` runs before the kernel, `content.derive(world) -> None` after it.
Days are counted from the world's first day (day 0); firms that exist before have negative founding days. Parties are
firm ids, ids from `schema.OUTSIDE` on, or the negative sector codes of `schema`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from sources.economy.records import Writer

# Codes used in the arrays of `Population`.
CHAINS = ("automobile", "steel", "construction", "textiles", "food", "farming", "platform", "services")
KINDS = (
    "core",
    "manufacturer",
    "dealer",
    "retailer",
    "farm",
    "merchant",
    "platform",
    "warehouse",
    "carrier",
)
CORE, MANUFACTURER, DEALER, RETAILER, FARM, MERCHANT, PLATFORM, WAREHOUSE, CARRIER = range(len(KINDS))

# A payment made because of the plan. Day ≥ 0; executed on that day through the ordinary payment path if the payer has
# the cash (else dropped and left out of the records). `channel` is an index into `CHANNELS`, `purpose` into `PURPOSES`.
TRANSFER = np.dtype(
    [
        ("day", "i8"),
        ("payer", "i8"),
        ("payee", "i8"),
        ("amount_fen", "i8"),
        ("purpose", "i8"),
        ("channel", "i8"),
        ("planted_id", "i8"),
    ]
)
# An invoice without goods behind it (rings, fictitious sales), written as it stands; it moves neither stock nor books.
# `voided_day` or `red_day` is −1 where it is not voided or reversed.
FAKE_INVOICE = np.dtype(
    [
        ("day", "i4"),
        ("seller", "i8"),
        ("buyer", "i8"),
        ("amount_fen", "i8"),
        ("voided_day", "i4"),
        ("red_day", "i4"),
        ("planted_id", "i4"),
    ]
)
# A firm that reports and pays only a share of what it owes in the months that begin in a span: `what` is an index into
# `SHAVED_DUES`. The kernel multiplies the month's due by the share.
SHAVED = np.dtype(
    [("firm", "i4"), ("first_day", "i4"), ("last_day", "i4"), ("what", "i1"), ("share", "f8"), ("planted_id", "i4")]
)
SHAVED_DUES = ("social", "vat")
CHANNELS = ("transfer", "pos", "qr", "payroll", "debit", "cash", "bill")
PURPOSES = (
    "goods",  # an invoice is paid
    "retail",  # households buy
    "wage",
    "tax",
    "social_insurance",
    "rent",
    "utility",
    "interest",
    "principal",
    "drawdown",  # a bank pays out a loan
    "private_loan",
    "private_interest",
    "private_repayment",
    "capital",  # owners pay in
    "dividend",  # owners take out
    "guarantee",
    "return",  # goods paid for and sent back
    "liquidation",
    "sundry",
    "refund",
    "transfer",  # between firms, without an invoice
    "fee",
    "reversal",
)


@dataclass
class Population:
    """All firms that ever live in the world, alive at the start or founded later; arrays are by firm id."""

    n: int
    seed: int
    chain: np.ndarray  # i2, index into CHAINS
    kind: np.ndarray  # i2, index into KINDS
    tier: np.ndarray  # i2: 0 core, 1–5 suppliers, 6 dealers, 7 retailers, −1 none
    region: np.ndarray  # i2, index into regions
    founded: np.ndarray  # i4, day
    staff: np.ndarray  # i4, at the start or founding
    wage: np.ndarray  # i8, fen a head and month
    price: np.ndarray  # f8, fen a unit without tax at the start
    productivity: np.ndarray  # f8, units a head and work day at full use
    owner: np.ndarray  # i4, person id
    parent: np.ndarray  # i4, firm that owns it, or −1
    group: np.ndarray  # i4, ownership group or −1
    circle: np.ndarray  # i4, guarantee circle or −1
    lot: np.ndarray  # f8 in 0…1, the same in all of a circle: by it the market picks the one bank that lends to them
    core_id: np.ndarray  # i4, or −1
    platform_id: np.ndarray  # i4, or −1
    small_taxpayer: np.ndarray  # bool
    tax_exempt: np.ndarray  # bool
    in_region: np.ndarray  # bool
    on_platform: np.ndarray  # bool
    has_equipment: np.ndarray  # bool
    crop: np.ndarray  # i2, index into `crops` for farms, else −1
    skill: np.ndarray  # f4 in 0…1, hidden, as are the next three
    honesty: np.ndarray
    prudence: np.ndarray
    patience: np.ndarray
    regions: list[tuple[str, str]]  # code, name
    crops: tuple[str, ...]
    outside: int  # number of outside parties: ids OUTSIDE … OUTSIDE + outside − 1
    tables: dict[str, pa.Table] = field(default_factory=dict)  # firm, person, ownership, outside_party
    links: np.ndarray | None = None  # first trade links, see network.LINK


@dataclass
class Plan:
    """Planted behaviour, planned before the run."""

    transfers: np.ndarray = field(default_factory=lambda: np.zeros(0, TRANSFER))
    invoices: np.ndarray = field(default_factory=lambda: np.zeros(0, FAKE_INVOICE))
    # Firm → share of each new loan that its owner diverts (the kernel pays it out to the owner at drawdown), and the
    # planted id written on the loan; doubly pledged loans: firm → planted id (only marked; content writes collateral).
    diverted: dict[int, tuple[float, int]] = field(default_factory=dict)
    double_pledged: dict[int, int] = field(default_factory=dict)
    planted: pa.Table | None = None  # rows of table `planted`
    shaved: np.ndarray = field(default_factory=lambda: np.zeros(0, SHAVED))


@dataclass
class WorldData:
    """The kernel's record in memory, for content that follows from it.

    `daily[name]` are arrays [day, firm]: output_units, utilisation (0…1), staff, raw_units, wip_units, finished_units,
    sales_fen, purchases_fen (invoiced that day, without tax), cash_fen, receivable_fen, payable_fen, bank_debt_fen,
    private_debt_fen, arrears_fen (wages, tax, social insurance unpaid), orders_open_units, days_past_due, constrained,
    active. `monthly[name]` are [month, firm]: sales_fen, retail_fen, purchases_fen, output_tax_fen, input_tax_fen,
    vat_due_fen, vat_paid_fen, vat_paid_day, social_due_fen, social_paid_fen, social_paid_day, wage_due_fen,
    wage_paid_fen, wage_paid_day (days −1: not yet), interest_fen, overhead_fen (rent, utilities, sundry), utility_fen,
    bad_debt_fen, dividend_fen, capital_fen, cost_fen (goods sold at cost), stock_fen (all stock at cost, month's end),
    tax_arrears_fen, social_arrears_fen, wage_arrears_fen (month's end). What is due in a month concerns that month and
    is paid in the next (or later, from the oldest on).
    """

    population: Population
    calendar: object  # calendar.Calendar
    plan: Plan
    first_day: np.datetime64
    days: int
    months: np.ndarray  # datetime64[M]
    month_of: np.ndarray  # [day] → index into months
    daily: dict[str, np.ndarray]
    monthly: dict[str, np.ndarray]
    closed: np.ndarray  # i4, day a firm closed, or a large number
    default_day: np.ndarray  # i4, first day 90 days past due, or a large number
    commodity: dict[str, np.ndarray]  # good → price of every day, fen (before gaps)
    writer: Writer

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose, so that adding one never shifts another."""
        return stream(self.population.seed, purpose)

    def date(self, day: np.ndarray) -> np.ndarray:
        """Day numbers as datetime64[D]."""
        return self.first_day + np.asarray(day).astype("timedelta64[D]")


def stream(seed: int, purpose: str, *more: int) -> np.random.Generator:
    """The random stream of a seed and purpose: independent of every other purpose's."""
    return np.random.default_rng([seed, *purpose.encode(), *more])
