"""The government feeds of a whole region, month by month: hundreds of thousands of firms, hundreds of millions of rows.

This is not the daily economy: no cash moves and nobody fails for a reason. It has the shape that loading and features
must bear: heavy-tailed sizes and invoice counts, the lunar new year, links that last and links that do not, void and
red-letter invoices, returns that agree with the invoices, and a trace of arrears. Every month is a function of seed and
month alone, save what it takes from the months before: red letters of last month's invoices and the sales of the
quarter. A run that starts later replays those months without writing them.

Columns are those of `schema.py` that systems may show; parties are numbers: firms from 0, outside firms after them.
Firms are dealt with in blocks of fixed size with a random stream each, so memory follows the block, not the region.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sources.economy import calendar as calendars
from sources.economy import names, params
from sources.economy.interface import stream

BLOCK = 16_384  # sellers a block
ROWS_A_BLOCK = 10_000_000  # room for invoice numbers of a block and month
OUTSIDE_RATIO = 0.25  # outside parties per firm
OUTSIDE_INVOICES = 0.15  # invoices that outside parties write, per invoice of a firm
INVOICES_A_MONTH = 13.0  # mean over all firms in a month without holidays
MOST_A_MONTH = 20_000
COUNT_SIGMA = 0.8  # spread of log invoice counts at one size
TICKET_SIGMA = 0.9
BURST_SHAPE = 1.3  # gamma; gives monthly counts their variation
COMMUNITY = 200  # firms that know each other
LOCAL_SHARE = 0.4  # of links inside the community (Chakraborty et al. 2017)
TOP_SHARE = 0.18  # of a firm's customer slots that last
TOP_LIFE_MONTHS, LIFE_MONTHS = 220.0, 7.5
SLOT_POWER = 2.2  # a customer slot's share of invoices falls with its rank
VALUE_POWER = 0.34  # and so does the size of its invoices
SMALLEST_RANK = 0.005
RED_SHARE = 0.012
_edge = SMALLEST_RANK ** (1 / SLOT_POWER)  # below it ranks count as the smallest
_power = 1 - SLOT_POWER * VALUE_POWER
MEAN_SIZE = _edge * SMALLEST_RANK**-VALUE_POWER + (1 - _edge**_power) / _power  # keeps a seller's mean ticket
REPLAY_MONTHS = 3  # months a later start must live through again
SALT = np.uint64(0x9E3779B97F4A7C15)
GUIDE = 1 << 20


@dataclass
class Region:
    """All parties; arrays are by party, the first `firms` are registered in the region."""

    firms: int
    seed: int
    months: np.ndarray  # datetime64[M]
    calendar: calendars.Calendar
    place: np.ndarray  # index into names.REGIONS
    staff: np.ndarray  # at the start
    growth: np.ndarray  # log growth, [party, year]
    founded: np.ndarray  # month number, negative before the start
    closed: np.ndarray  # month number, large while in being
    invoices: np.ndarray  # mean a month as seller
    ticket_fen: np.ndarray  # mean amount of an invoice
    slots: np.ndarray  # customers it has room for
    small: np.ndarray  # small-scale taxpayer: files by quarter, 3 % (1 % from 2023)
    void_share: np.ndarray
    honesty: np.ndarray  # share of sales declared
    buyers: tuple[np.ndarray, np.ndarray]  # guide tables to draw a buyer: for firms, for outside sellers

    @property
    def parties(self) -> int:
        """Firms and outside parties."""
        return len(self.staff)

    def active(self, month: int) -> np.ndarray:
        """[party] in being in a month."""
        return (self.founded <= month) & (self.closed > month)

    def level(self, month: int) -> np.ndarray:
        """[party] size against the start: yearly growth rates, a twelfth of each a month."""
        year, part = divmod(month, 12)
        return np.exp(self.growth[:, :year].sum(axis=1) + self.growth[:, year] * part / 12)

    def bounds(self, month: int) -> tuple[np.datetime64, np.datetime64]:
        """First day of a month and of the next."""
        return self.months[month].astype("datetime64[D]"), (self.months[month] + 1).astype("datetime64[D]")


def draw_region(firms: int, months: int, seed: int, first_day: str = "2022-01-01") -> Region:
    """The parties of a region and what stays with them; ValueError for sizes that make no region."""
    if firms < 1 or months < 1:
        raise ValueError(f"{firms} firms and {months} months make no region: give at least one of each")
    rng = stream(seed, "bulk region")
    parties = firms + max(1, int(firms * OUTSIDE_RATIO))
    first = np.datetime64(first_day, "M")
    listed = first + np.arange(months)
    days = int(((first + months).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(int))
    staff = np.minimum(params.MIN_STAFF * rng.random(parties) ** (-1 / params.STAFF_TAIL), params.MAX_STAFF).astype(
        "i4"
    )
    counts = staff**0.75 * np.exp(COUNT_SIGMA * rng.standard_normal(parties))
    counts *= INVOICES_A_MONTH / counts[:firms].mean()
    outside = counts[firms:]
    counts[firms:] = outside * OUTSIDE_INVOICES * counts[:firms].sum() / outside.sum()
    counts = np.minimum(counts, MOST_A_MONTH)
    sales = staff * params.SALES_PER_HEAD_FEN / 12 * np.exp(0.4 * rng.standard_normal(parties))
    founded, closed = _lives(rng, firms, parties, months)
    return Region(
        firms=firms,
        seed=seed,
        months=listed,
        calendar=calendars.build(str(first.astype("datetime64[D]")), days),
        place=rng.integers(0, len(names.REGIONS), parties),
        staff=staff,
        growth=rng.laplace(0.02, 0.25 / np.sqrt(2) * (staff / 10.0)[:, None] ** -0.15, (parties, months // 12 + 1)),
        founded=founded,
        closed=closed,
        invoices=counts,
        ticket_fen=sales / np.maximum(counts, 1.0),
        slots=np.maximum(1.4 * (12 * counts) ** 0.75, 2.0),
        small=sales * 12 < 500_000_000,  # five million yuan a year
        void_share=np.clip(rng.gamma(2.0, 0.035, parties), 0, 0.4),
        honesty=np.where(rng.random(parties) < 0.02, rng.uniform(0.5, 0.9, parties), 1.0),
        buyers=(_guide(staff, parties), _guide(staff, firms)),
    )


def _lives(rng: np.random.Generator, firms: int, parties: int, months: int) -> tuple[np.ndarray, np.ndarray]:
    """Months of founding and closing: births equal exits; outside parties are always there."""
    chance, years = zip(*params.AGE_POINTS, strict=True)
    founded = -np.ceil(12 * np.interp(rng.random(parties), chance, years)).astype("i4") - 1
    late = rng.random(parties) < 1 - np.exp(-params.BIRTHS_A_YEAR * months / 12)
    founded = np.where(late, rng.integers(0, months, parties), founded)
    lasting = rng.exponential(12 / params.BIRTHS_A_YEAR, parties).astype("i4")
    closed = np.maximum(founded, 0) + 1 + lasting
    founded[firms:], closed[firms:] = -1, 2**30
    return founded, closed


def _guide(staff: np.ndarray, last: int) -> np.ndarray:
    """A table of equal chances that draws buyers below `last` in proportion to staff^ATTACH."""
    weight = np.cumsum(staff[:last].astype(float) ** params.ATTACH)
    points = (np.arange(GUIDE) + 0.5) / GUIDE * weight[-1]
    return np.searchsorted(weight, points).astype("i4")


def uniform(key: np.ndarray) -> np.ndarray:
    """A number in [0, 1) that belongs to each key (splitmix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = key * SALT + SALT
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) / float(1 << 53)


# Invoices


@dataclass
class Ledger:
    """What a month hands on: invoices to reverse next month, by block, and what firms sold and bought."""

    to_reverse: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    sales_fen: np.ndarray | None = None  # [firm], valid ones and red letters
    output_tax_fen: np.ndarray | None = None
    input_tax_fen: np.ndarray | None = None


def invoice_blocks(region: Region, month: int, before: Ledger, now: Ledger) -> Iterator[dict[str, np.ndarray]]:
    """Invoices of a month, block of sellers by block; fills `now`, takes last month's red letters from `before`."""
    now.sales_fen, now.output_tax_fen, now.input_tax_fen = (np.zeros(region.parties) for _ in range(3))
    level, active = region.level(month), region.active(month)
    first, last = region.bounds(month)
    weights = _day_weights(region, first, last)
    season = weights.sum() / 20.5  # working days of an ordinary month
    chances = np.cumsum(weights) / weights.sum()
    for block in range(-(-region.parties // BLOCK)):
        rng = stream(region.seed, "bulk invoice", month, block)
        sellers = np.arange(block * BLOCK, min((block + 1) * BLOCK, region.parties))
        mean = region.invoices[sellers] * np.sqrt(level[sellers]) * season * active[sellers]
        counts = rng.poisson(mean * rng.gamma(BURST_SHAPE, 1 / BURST_SHAPE, len(sellers)))
        rows = _sales(region, month, rng, np.repeat(sellers, counts), level, active, chances)
        number = ((month + 1) * 10_000 + block) * ROWS_A_BLOCK
        rows["invoice_id"] = number + np.arange(len(rows["seller_id"]))
        now.to_reverse[block] = _chosen_to_reverse(rng, rows)  # drawn before red letters join, hence free of them
        reds = before.to_reverse.get(block)
        if reds is not None:
            count = len(reds["seller_id"])
            day = np.searchsorted(chances, rng.random(count))
            reds["issued_on"] = first + np.minimum(day, len(chances) - 1)
            reds["invoice_id"] = number + len(rows["seller_id"]) + np.arange(count)
            rows = {name: np.concatenate([rows[name], reds[name]]) for name in rows}
        rows["total_fen"] = rows["amount_fen"] + rows["tax_fen"]
        _add_up(now, rows)
        yield rows


def _day_weights(region: Region, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Business of each day of a month, more of it in its last days."""
    start = int((first - region.calendar.first_day).astype(int))
    days = int((last - first).astype(int))
    weight = region.calendar.activity[start : start + days] * region.calendar.demand[start : start + days] + 0.02
    return weight * np.where(np.arange(days) >= days - 5, 1.4, 1.0)


def _sales(
    region: Region,
    month: int,
    rng: np.random.Generator,
    seller: np.ndarray,
    level: np.ndarray,
    active: np.ndarray,
    chances: np.ndarray,
) -> dict[str, np.ndarray]:
    """New invoices of these sellers, one row each."""
    first, last = region.bounds(month)
    rank = rng.random(len(seller)) ** SLOT_POWER
    buyer = _buyers(region, month, seller, rank, active)
    day = first + np.minimum(np.searchsorted(chances, rng.random(len(seller))), len(chances) - 1)
    size = np.maximum(rank, SMALLEST_RANK) ** -VALUE_POWER / MEAN_SIZE
    noise = np.exp(TICKET_SIGMA * rng.standard_normal(len(seller), dtype="f4") - TICKET_SIGMA**2 / 2)
    amount = region.ticket_fen[seller] * np.sqrt(level[seller]) * size * noise
    agreed = rng.random(len(seller), dtype="f4") < 0.3  # round sums
    amount = np.where(agreed, np.maximum(np.rint(amount / 1e5), 1) * 1e5, np.maximum(np.rint(amount), 100))
    amount = amount.astype("i8")
    electronic = day >= np.datetime64("2024-12-01")  # from here invoices cannot be voided, see calendar.RULES
    void = (rng.random(len(seller), dtype="f4") < region.void_share[seller]) & ~electronic
    voided = np.minimum(day + rng.exponential(2.5, len(seller)).astype("i8"), last - 1)
    return {
        "seller_id": seller,
        "buyer_id": buyer,
        "issued_on": day,
        "amount_fen": amount,
        "tax_fen": np.rint(amount * _rates(region, seller, day)).astype("i8"),
        "voided_on": np.where(void, voided, np.datetime64("NaT")),
        "red_of_id": np.full(len(seller), -1, "i8"),
    }


def _rates(region: Region, seller: np.ndarray, day: np.ndarray) -> np.ndarray:
    """VAT rate: small taxpayers 3 %, 1 % since 2023; a fifth of the others sell services at 6 %."""
    position = (day - region.calendar.first_day).astype(int)
    general = np.where(uniform(seller.astype("u8")) < 0.2, 0.06, region.calendar.vat[position])
    return np.where(region.small[seller], np.where(day >= np.datetime64("2023-01-01"), 0.01, 0.03), general)


def _buyers(region: Region, month: int, seller: np.ndarray, rank: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Who fills each seller's customer slot: the same firm until the slot's life is over."""
    slot = np.floor(region.slots[seller] * rank).astype("u8")
    with np.errstate(over="ignore"):
        key = seller.astype("u8") * np.uint64(1_000_003) + slot + np.uint64(region.seed % 2**32) * SALT
    life = np.where(slot <= TOP_SHARE * region.slots[seller], TOP_LIFE_MONTHS, LIFE_MONTHS)
    epoch = np.floor(month / life + uniform(key)).astype("u8")
    inside = seller < region.firms
    buyer = _pick(region, key, epoch, seller, inside)
    for again in (1, 2, 3):  # who is not in being cannot buy
        wrong = np.flatnonzero(~active[buyer] | (buyer == seller))
        if not len(wrong):
            break
        other = epoch[wrong] + np.uint64(again * 100_000)
        buyer[wrong] = _pick(region, key[wrong], other, seller[wrong], inside[wrong])
    wrong = ~active[buyer] | (buyer == seller)
    buyer[wrong & inside] = region.firms  # the last resort is the first outside party
    return buyer


def _pick(region: Region, key: np.ndarray, epoch: np.ndarray, seller: np.ndarray, inside: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        chance = uniform(key * np.uint64(31) + epoch * np.uint64(7_919))
        where = uniform(key * np.uint64(37) + epoch * np.uint64(104_729))
    drawn = (chance * GUIDE).astype("i8")
    buyer = np.where(inside, region.buyers[0][drawn], region.buyers[1][drawn])
    start = seller // COMMUNITY * COMMUNITY
    neighbour = start + np.floor(chance * np.minimum(COMMUNITY, region.firms - start)).astype("i8")
    return np.where(inside & (where < LOCAL_SHARE), neighbour, buyer)


def _chosen_to_reverse(rng: np.random.Generator, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Red letters that next month will write: the whole amount back, or a part of it."""
    able = np.isnat(rows["voided_on"])
    chosen = np.flatnonzero(able & (rng.random(len(able), dtype="f4") < RED_SHARE))
    part = np.where(rng.random(len(chosen)) < 0.7, 1.0, rng.uniform(0.1, 0.9, len(chosen)))
    reds = {name: rows[name][chosen] for name in ("seller_id", "buyer_id", "voided_on")}
    reds["amount_fen"] = -np.rint(rows["amount_fen"][chosen] * part).astype("i8")
    reds["tax_fen"] = -np.rint(rows["tax_fen"][chosen] * part).astype("i8")
    reds["red_of_id"] = rows["invoice_id"][chosen]
    return reds


def _add_up(now: Ledger, rows: dict[str, np.ndarray]) -> None:
    valid = np.isnat(rows["voided_on"])
    for total, party, amount in (
        (now.sales_fen, "seller_id", "amount_fen"),
        (now.output_tax_fen, "seller_id", "tax_fen"),
        (now.input_tax_fen, "buyer_id", "tax_fen"),
    ):
        total += np.bincount(rows[party][valid], rows[amount][valid], len(total))


# Monthly records of the other departments; each gives the schema's columns of the firms it has


def _heads(region: Region, month: int) -> tuple[np.ndarray, np.ndarray]:
    """Firms in being and their staff."""
    firm = np.flatnonzero(region.active(month)[: region.firms])
    return firm, np.maximum(np.rint(region.staff[firm] * region.level(month)[firm]), 1)


def _paying(region: Region, month: int, firm: np.ndarray, what: int, day: int) -> tuple[np.ndarray, np.ndarray]:
    """Share paid and day of payment: spells of arrears of five months fall on about one firm-month in thirty."""
    rng = stream(region.seed, "bulk paying", month, what)
    with np.errstate(over="ignore"):
        spell = uniform((firm.astype("u8") * np.uint64(257) + np.uint64(month // 5)) * np.uint64(3) + np.uint64(what))
    share = np.where(spell < 0.033, np.where(spell < 0.02, 0.0, 0.5), 1.0)
    paid_on = region.bounds(month)[1] + day + rng.integers(0, 8, len(firm))
    return share, np.where(share > 0, paid_on, np.datetime64("NaT"))


def tax_returns(region: Region, month: int, ledgers: list[Ledger]) -> dict[str, np.ndarray]:
    """Returns for a month: general taxpayers every month, small ones for the quarter that ends with it."""
    ending = int(region.months[month].astype(int)) % 3 == 2
    firm = np.flatnonzero(region.active(month)[: region.firms] & (~region.small[: region.firms] | ending))
    small = region.small[firm]
    recent = ledgers[-3:] if ending else ledgers[-1:]

    def total(name: str) -> np.ndarray:
        quarter = sum(getattr(ledger, name)[firm] for ledger in recent)
        return np.where(small, quarter, getattr(ledgers[-1], name)[firm])

    sales, output, bought = (total(name) for name in ("sales_fen", "output_tax_fen", "input_tax_fen"))
    declared = np.rint(np.maximum(sales, 0) * region.honesty[firm]).astype("i8")
    output = np.rint(np.maximum(output, 0) * region.honesty[firm]).astype("i8")
    used = np.where(small, 0, np.minimum(bought, output * 0.96)).astype("i8")
    share, paid_on = _paying(region, month, firm, 1, 7)
    filed = region.bounds(month)[1] + 6 + stream(region.seed, "bulk filing", month).integers(0, 9, len(firm))
    payable = output - used
    paid_on = np.where(np.isnat(paid_on), paid_on, np.maximum(paid_on, filed))
    return {
        "firm_id": firm,
        "period": np.full(len(firm), region.bounds(month)[0]),
        "declared_sales_fen": declared,
        "output_tax_fen": output,
        "input_tax_fen": used,
        "payable_fen": payable,
        "paid_fen": np.rint(payable * share).astype("i8"),
        "filed_on": filed,
        "paid_on": paid_on,
    }


def social_insurance(region: Region, month: int) -> dict[str, np.ndarray]:
    """Contributions: most of the staff is insured, on a base near the wage."""
    firm, heads = _heads(region, month)
    insured = np.maximum(np.rint(heads * (0.6 + 0.4 * uniform(firm.astype("u8") + np.uint64(11)))), 1).astype("i8")
    wage = params.WAGE_FEN * (0.7 + 0.6 * uniform(firm.astype("u8") + np.uint64(13)))
    base = np.rint(insured * wage).astype("i8")
    due = np.rint(base * params.SOCIAL_RATE).astype("i8")
    share, paid_on = _paying(region, month, firm, 2, 9)
    return {
        "firm_id": firm,
        "period": np.full(len(firm), region.bounds(month)[0]),
        "insured": insured,
        "base_fen": base,
        "due_fen": due,
        "paid_fen": np.rint(due * share).astype("i8"),
        "paid_on": paid_on,
    }


def housing_fund(region: Region, month: int) -> dict[str, np.ndarray]:
    """Deposits of the half of the firms that have a fund."""
    social = social_insurance(region, month)
    has = uniform(social["firm_id"].astype("u8") + np.uint64(17)) < 0.5
    firm = social["firm_id"][has]
    due = np.rint(social["base_fen"][has] * 0.08).astype("i8")
    share, paid_on = _paying(region, month, firm, 3, 11)
    return {
        "firm_id": firm,
        "period": social["period"][has],
        "members": social["insured"][has],
        "due_fen": due,
        "paid_fen": np.rint(due * share).astype("i8"),
        "paid_on": paid_on,
    }


def electricity(region: Region, month: int) -> dict[str, np.ndarray]:
    """Energy of a month, on its first day: staff times what the trade needs, by working days and summer heat."""
    firm, heads = _heads(region, month)
    rng = stream(region.seed, "bulk electricity", month)
    first, last = region.bounds(month)
    work = _day_weights(region, first, last).sum() / 20.5
    need = 250 * np.exp(1.1 * (2 * uniform(firm.astype("u8") + np.uint64(19)) - 1))
    heat = 1.15 if int(region.months[month].astype(int)) % 12 in (5, 6, 7) else 1.0
    energy = heads * need * heat * (0.25 + 0.75 * work) * np.exp(0.15 * rng.standard_normal(len(firm)))
    return {
        "firm_id": firm,
        "day": np.full(len(firm), first),
        "energy_kwh": np.round(energy, 3),
        "peak_ratio": np.round(0.25 + 0.4 * uniform(firm.astype("u8") + np.uint64(23)), 4),
        "fee_fen": np.rint(energy * 68).astype("i8"),
    }


def _metered(region: Region, month: int, what: int, has: float, a_head: float, fen: float) -> dict[str, np.ndarray]:
    firm, heads = _heads(region, month)
    keep = uniform(firm.astype("u8") + np.uint64(29 + what)) < has
    firm, heads = firm[keep], heads[keep]
    rng = stream(region.seed, "bulk meter", month, what)
    volume = heads * a_head * np.exp(0.5 * rng.standard_normal(len(firm)))
    _, paid_on = _paying(region, month, firm, what, 12)
    return {
        "firm_id": firm,
        "period": np.full(len(firm), region.bounds(month)[0]),
        "volume_m3": np.round(volume, 3),
        "fee_fen": np.rint(volume * fen).astype("i8"),
        "paid_on": paid_on,
    }


def water(region: Region, month: int) -> dict[str, np.ndarray]:
    """Water bills of nine in ten firms."""
    return _metered(region, month, 4, 0.9, 6.0, 420)


def gas(region: Region, month: int) -> dict[str, np.ndarray]:
    """Gas bills of one firm in ten."""
    return _metered(region, month, 5, 0.1, 40.0, 380)


def run(region: Region, first_month: int = 0) -> Iterator[tuple[int, list[Ledger], Iterator[dict[str, np.ndarray]]]]:
    """Months from `first_month` on: number, the ledgers so far (the month's own last), its invoice blocks.

    The blocks must be taken to their end before the ledgers are read. Months before are replayed where they matter.
    """
    start = max(0, first_month - REPLAY_MONTHS)
    ledgers = [Ledger()]
    for month in range(start, len(region.months)):
        now = Ledger()
        blocks = invoice_blocks(region, month, ledgers[-1], now)
        ledgers = [*ledgers[-3:], now]
        if month < first_month:
            for _ in blocks:
                pass
        else:
            yield month, ledgers, blocks
        ledgers[-2].to_reverse.clear()
