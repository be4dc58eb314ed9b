"""The full state of the economy on a day: arrays only, so that a copy with a new random stream is a new future."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from numba import njit

from sources.economy import params
from sources.economy.compiled import inner
from sources.economy.network import LINK
from sources.economy.records import FAR

# Money parties in the cash vector: firms, then these, then banks.
HOUSE, STATE, WORLD, LENDER, SECTORS = 0, 1, 2, 3, 4
# What a firm owes by the month: index of `owed`.
WAGE, TAX, SOCIAL, UTILITY, RENT, DUTIES = 0, 1, 2, 3, 4, 5
# Stages of the daily waterfall after the duties above.
INTEREST, KEY_SUPPLIERS, SUPPLIERS, PRINCIPAL, CLAIMS, STAGES = 5, 6, 7, 8, 9, 10
# Where an item (order → shipment → invoice) stands.
FREE, ORDERED, BACKLOG, SHIPPED, INVOICED, DUE = 0, 1, 2, 3, 4, 5
ORDER, DELIVERY, INVOICE, PAYMENT, APPLICATION, ENQUIRY, FREE_TOP, LOANS, LINKS, RECORDING, FAULT = range(11)
RING = 1024
OUT = 10_000_000  # schema.OUTSIDE, here for compiled code
# Loans.
BULLET, INSTALMENT = 0, 1
RUNNING, REPAID, BAD, WRITTEN_OFF = 0, 1, 2, 3
UNDECIDED, EXTENDED, PROMISED, REFUSED = 0, 1, 2, 3
CREDIT, GUARANTEED, MORTGAGE, RECEIVABLE, STOCK = 0, 1, 2, 3, 4
SECURITIES = ("credit", "guarantee", "mortgage", "receivable", "stock")
# Causes of default.
CAUSES = ("demand", "customer_default", "rollover_refused", "cost", "fraud")


def fields(kind: str, *names: str) -> list[tuple[str, str]]:
    """Fields of one kind, named in space-parted groups."""
    return [(name, kind) for group in names for name in group.split()]


# Whole numbers are all 64 bits wide: one compiled version of each function then serves every caller.
FIRM = np.dtype(
    [
        # fixed
        *fields("i8", "chain depth kind region payday order crop"),
        *fields("i8", "founded circle group"),
        *fields("f8", "skill honesty prudence patience prod price base size thrift lot"),
        *fields("i8", "wage rent"),
        *fields("i8", "small exempt retail core borrower fraud"),
        # condition
        *fields("i8", "active closing defaulted constrained hold"),
        *fields("i8", "closed default_day dpd last_apply refused lost_from lost_day closing_from"),
        *fields("f8", "attract overhead fc fast slow staff_f norm adjust unit_cost lost waste"),
        *fields("i8", "staff raw wip fin backlog onorder ar ap overdue bank private bridge wealth claims"),
        # pending application or renewal
        *fields("i8", "app_due app_bank app_product app_purpose renew_day renew_bank renew_loan"),
        *fields("i8", "app_amount app_id renew_amount"),
        # accounts of the month
        *fields(
            "i8",
            "m_sales m_retail m_buy m_out m_in m_interest m_over m_bad m_div m_capital m_cost m_retail_tax",
            "credit_in m_wages",
        ),
        # flows of the day
        *fields("i8", "d_sales d_buy d_out d_ask made"),
        *fields("f8", "use"),
        # lists
        *fields("i8", "back_head back_tail due_head due_tail loan_head"),
    ]
)
ITEM = np.dtype(
    [
        *fields("i8", "state service key"),
        *fields("i8", "seller buyer order_id delivery_id invoice_id qty price amount tax left"),
        *fields("i8", "link ordered due_ship received issued due planned next"),
    ]
)
LOAN = np.dtype(
    [
        *fields("i8", "firm bank start months at closed renews guarantor next called planted default_day"),
        *fields("i8", "product status security renewal purpose"),
        *fields("i8", "principal balance part_interest part_principal guaranteed app_id renew_app"),
        *fields("f8", "rate diverted"),
    ]
)

# Widths of the record buffers, in the order of their columns (see kernel.COLUMNS).
BOOK_WIDTH = {
    "payment": 11,
    "order": 9,
    "delivery": 9,
    "invoice": 14,
    "repayment": 5,
    "application": 10,
    "enquiry": 4,
    "settle": 2,
    "cancel": 2,
    "default": 8,
}
PAY, ORD, DEL, INV, REP, APP, ENQ, SET, CAN, DEF = range(10)


class Books(NamedTuple):
    """Record buffers of the month; `n` counts the rows of each."""

    payment: np.ndarray
    order: np.ndarray
    delivery: np.ndarray
    invoice: np.ndarray
    repayment: np.ndarray
    application: np.ndarray
    enquiry: np.ndarray
    settle: np.ndarray
    cancel: np.ndarray
    default: np.ndarray
    n: np.ndarray


class Knobs(NamedTuple):
    """Strengths of the mechanism. Those marked as assumed are set so that the run meets the calibration table."""

    late_share: float = 0.55  # invoices paid late by habit though cash suffices
    late_days: float = 58.0  # mean of that delay (Coface China 2025: 65 days)
    jump_rate: float = 1.4  # shocks to a firm's custom a year (assumed)
    jump_scale: float = 0.23  # Laplace scale at ten staff (assumed)
    jump_size: float = -0.20  # power of size (Stanley 1996, Zou 2019: −0.1 … −0.25)
    revert: float = 0.25  # a year (assumed)
    overhead_noise: float = 0.030  # of sales, a year (assumed)
    overhead_revert: float = 0.5
    sundry_year: float = 48.0  # small purchases a firm-year (computed on 220 Chinese firms' invoices)
    spot_year: float = 4.0  # one-off customers a firm-year (same)
    void_rate: float = 0.055
    red_rate: float = 0.022
    capex_year: float = 0.22
    capex_share: float = 0.10  # of a year's sales
    private_month: float = 0.016  # price of private money a month (assumed; 15–24 % a year)
    private_cap: float = 0.08  # of a year's sales
    bank_base: float = 3.0
    bank_noise: float = 1.6
    bank_limit: float = 0.26  # of a year's sales
    first_bank_share: float = params.FIRST_BANK_SHARE
    renege: float = 0.03  # renewals promised and then withheld, in neutral credit
    no_repay: float = 0.30  # renewals that need no repayment in between
    guarantee_share: float = 0.34
    sue_close: float = 0.004  # a defaulted firm's daily chance to be wound up
    owner_wealth: float = 0.03  # of a year's sales that an owner can put in
    exit_scale: float = 1.35
    accident_year: float = 0.10  # losses out of the blue (fire, claims, a family's need) a firm-year (assumed)
    accident_share: float = 0.5  # their mean, of a year's sales at ten staff (assumed)
    accident_size: float = -0.3  # power of size of that mean (assumed)
    withdraw: float = 0.045  # renewals that a bank refuses for reasons of its own (assumed)
    retrench: float = 0.3  # fall of the overhead of firms short of cash, of sales a year (assumed)
    recover: float = 0.3  # rise of their custom while it is below its mean, a year (assumed)
    lot_noise: float = 0.5
    refuse_share: float = 0.5


class State(NamedTuple):
    """Everything that a future depends on, besides the calendar."""

    firm: np.ndarray
    item: np.ndarray
    loan: np.ndarray
    link: np.ndarray
    cash: np.ndarray  # i8, firms, sectors, banks
    owed: np.ndarray  # i8 [duty, firm]: fallen due and unpaid
    since: np.ndarray  # i4 [duty, firm]: day from which the oldest of it is due
    due: np.ndarray  # i8 [duty, month, firm]: what concerns the month
    paid: np.ndarray
    paid_day: np.ndarray
    pointer: np.ndarray  # i4 [duty, firm]: oldest month not fully paid
    ring: np.ndarray  # i4 [3, RING]: heads of items to ship, receive, pay on a day
    free: np.ndarray  # i4, stack of free items
    seq: np.ndarray  # i8, counters
    outside: np.ndarray  # f8, cumulated weights of outside parties
    chain_state: np.ndarray  # f8 [chain]: log demand factor
    goods_state: np.ndarray  # f8 [chain, 1 + depths]: log raw price, smoothed prices by depth
    books: Books
    rng: np.random.Generator
    k: Knobs


def books(rows: int) -> Books:
    """Empty buffers."""
    sizes = {
        name: rows if name in ("payment", "order", "delivery", "invoice", "settle") else max(20_000, rows // 4)
        for name in BOOK_WIDTH
    }
    return Books(*[np.zeros((sizes[n], w), "i8") for n, w in BOOK_WIDTH.items()], np.zeros(10, "i8"))


def fork(state: State, rng: np.random.Generator) -> State:
    """A deep copy that shares nothing but its knobs, with its own stream and without records."""
    arrays = {f: getattr(state, f).copy() for f in State._fields if isinstance(getattr(state, f), np.ndarray)}
    arrays["seq"][RECORDING] = 0
    return state._replace(**arrays, rng=rng, books=books(2))


def copied(state: State) -> State:
    """A deep copy that goes on exactly as the original would."""
    arrays = {f: getattr(state, f).copy() for f in State._fields if isinstance(getattr(state, f), np.ndarray)}
    return state._replace(**arrays, rng=copy.deepcopy(state.rng))


def room(state: State, items: int, loans: int, links: int) -> State:
    """Makes room for at least so many more items, loans and links."""
    changed = {}
    if state.seq[FREE_TOP] < items:
        old = len(state.item)
        more = max(old, items)
        changed["item"] = np.concatenate([state.item, np.zeros(more, ITEM)])
        free = np.zeros(old + more, "i4")
        top = int(state.seq[FREE_TOP])
        free[:more] = np.arange(old + more - 1, old - 1, -1)
        free[more : more + top] = state.free[:top]
        changed["free"] = free
        state.seq[FREE_TOP] = top + more
    if len(state.loan) - state.seq[LOANS] < loans:
        changed["loan"] = np.concatenate([state.loan, np.zeros(max(loans, len(state.loan)), LOAN)])
    if len(state.link) - state.seq[LINKS] < links:
        changed["link"] = np.concatenate([state.link, np.zeros(max(links, len(state.link) // 2), LINK)])
    return state._replace(**changed) if changed else state


@njit("i8(i8, i8)", cache=True)
def place_of(firms, party):
    """Index of a party in the cash vector of so many firms; parties outside share the rest of the world's cash."""
    if party >= OUT:
        return firms + WORLD
    if party >= 0:
        return party
    if party > -100:
        return firms - party - 1
    return firms + SECTORS - 100 - party


@njit(
    [f"void(i8[::1], i8[::1], i8, i8[:, ::1], UniTuple(i8, {w}))" for w in sorted(set(BOOK_WIDTH.values()))], cache=True
)
def add_row(seq, counts, book, rows, row):
    """Adds a row to a record buffer if the run is recorded (1), or before that if it concerns loans (2)."""
    mode = seq[RECORDING]
    if mode == 0 or (mode == 2 and (book < REP or book in (SET, CAN))):
        return
    at = counts[book]
    if at >= len(rows):
        seq[FAULT] = 1 + book
        return
    for c in range(len(row)):
        rows[at, c] = row[c]
    counts[book] = at + 1


@njit(f"void(i8[::1], i8[::1], i8[::1], i8[:, ::1], {', '.join(['i8'] * 10)})", cache=True)
def transfer(cash, seq, counts, rows, firms, t, payer, payee, amount, purpose, channel, invoice, loan, planted):
    """The only way money moves: debits one party, credits the other, notes the payment."""
    if amount <= 0:
        return
    cash[place_of(firms, payer)] -= amount
    cash[place_of(firms, payee)] += amount
    number = seq[PAYMENT]
    seq[PAYMENT] = number + 1
    at = t * 86400 + 30600 + (number * 7919) % 32400
    add_row(seq, counts, PAY, rows, (number, payer, payee, at, amount, channel, purpose, invoice, loan, -1, planted))


# Both are spliced into their callers: the compiled versions above take plain arrays, which keeps compiling short.
@njit(inline="always")
def note(s, book, rows, row):
    """Adds a row to a record buffer, see `add_row`."""
    add_row(s.seq, s.books.n, book, rows, row)


@njit(inline="always")
def move(s, t, payer, payee, amount, purpose, channel, invoice, loan, planted):
    """Moves money, see `transfer`."""
    transfer(
        s.cash, s.seq, s.books.n, s.books.payment, len(s.firm),
        t, payer, payee, amount, purpose, channel, invoice, loan, planted,
    )  # fmt: skip


@inner
def new_item(s):
    """Takes an item from the free stack; −1 (and a fault) when none is left."""
    top = s.seq[FREE_TOP]
    if top == 0:
        s.seq[FAULT] = 20
        return -1
    s.seq[FREE_TOP] = top - 1
    return s.free[top - 1]


@inner
def drop_item(s, at):
    """Gives an item back."""
    s.item[at].state = FREE
    s.free[s.seq[FREE_TOP]] = at
    s.seq[FREE_TOP] += 1


@inner
def schedule(s, at, stage, day):
    """Puts an item on the ring of a stage (0 ship, 1 receive, 2 pay) for a day less than RING days ahead."""
    slot = day % RING
    s.item[at].next = s.ring[stage, slot]
    s.ring[stage, slot] = at


@inner
def pay_duty(s, t, i, duty, amount):
    """Pays a firm's wages, tax, social insurance, utilities or rent, oldest month first."""
    if amount <= 0:
        return
    payee = -1
    purpose = 2
    channel = 3
    if duty == TAX:
        payee, purpose, channel = -2, 3, 4
    elif duty == SOCIAL:
        payee, purpose, channel = -2, 4, 4
    elif duty == UTILITY:
        payee, purpose, channel = -3, 6, 4
    elif duty == RENT:
        payee, purpose, channel = -1, 5, 0
    move(s, t, i, payee, amount, purpose, channel, -1, -1, -1)
    s.owed[duty, i] -= amount
    left = amount
    month = s.pointer[duty, i]
    while left > 0 and month < s.due.shape[1]:
        gap = s.due[duty, month, i] - s.paid[duty, month, i]
        part = min(gap, left)
        s.paid[duty, month, i] += part
        left -= part
        if s.paid[duty, month, i] >= s.due[duty, month, i]:
            if part > 0:
                s.paid_day[duty, month, i] = t
            month += 1
            s.since[duty, i] = t if s.owed[duty, i] == 0 else s.since[duty, i] + 30
        elif part == 0:
            break
    s.pointer[duty, i] = month
    if s.owed[duty, i] == 0:
        s.since[duty, i] = FAR
