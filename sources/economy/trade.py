"""Goods: orders along links, production, shipping, invoices, households' purchases, one-off trade.

One unit of any seller's good is one unit of the buyer's raw stock, and one raw unit becomes one finished unit, so units
balance over the whole economy: every unit is bought from outside, sold to outside, scrapped, or in some stock.
"""

from __future__ import annotations

import numpy as np

from sources.economy.compiled import entry, inner
from sources.economy.state import (
    BACKLOG,
    CAN,
    DEL,
    DELIVERY,
    DUE,
    INV,
    INVOICE,
    INVOICED,
    LINKS,
    ORD,
    ORDER,
    ORDERED,
    OUT,
    SET,
    SHIPPED,
    drop_item,
    move,
    new_item,
    note,
    schedule,
)

FAR = 2**30
ENFORCED = 2  # key of a claim that a court enforces; 1 marks key suppliers
LONGEST_SPAN, LARGEST_SPAN = 100.0, 130.0  # days of use that one order makes up for; with its pull towards target
FARM, SEASON_LOW, SEASON_HIGH = 4, 0.12, 3.0
# Flows of goods of the day, in units: bought outside, sold outside, sold to households, scrapped, wasted.
FROM_OUTSIDE, TO_OUTSIDE, TO_HOUSEHOLDS, SCRAPPED = 0, 1, 2, 3


@inner
def good_of(s, seller, buyer, service):
    """Code of the traded good: chain times ten plus depth of the seller; 99 for services."""
    if service:
        return 99
    if seller < OUT:
        return s.firm[seller].chain * 10 + s.firm[seller].depth
    return s.firm[buyer].chain * 10 + max(0, s.firm[buyer].depth - 1)


@inner
def push_back(s, i, at):
    """Appends an order to a seller's backlog."""
    f = s.firm[i]
    s.item[at].next = -1
    s.item[at].state = BACKLOG
    if f.back_tail >= 0:
        s.item[f.back_tail].next = at
    else:
        f.back_head = at
    f.back_tail = at
    f.backlog += s.item[at].qty


@entry
def push_due(s, i, at):
    """Appends a due invoice to a buyer's list."""
    f = s.firm[i]
    s.item[at].next = -1
    s.item[at].state = DUE
    if f.due_tail >= 0:
        s.item[f.due_tail].next = at
    else:
        f.due_head = at
    f.due_tail = at
    f.overdue += s.item[at].left
    if s.item[at].key == ENFORCED:
        f.claims += 1


@inner
def cancel(s, t, at):
    """Takes back an order that has not been shipped."""
    x = s.item[at]
    if x.buyer < OUT and x.service == 0:
        s.firm[x.buyer].onorder -= x.qty
    note(s, CAN, s.books.cancel, (x.order_id, t))
    drop_item(s, at)


@entry
def take_order(s, t, link, seller, buyer, qty, price, due, terms, key, service):
    """Writes an order and puts it on the ring for its day of shipping."""
    at = new_item(s)
    if at < 0:
        return
    x = s.item[at]
    x.state, x.service, x.key = ORDERED, service, key
    x.seller, x.buyer, x.qty, x.price, x.link = seller, buyer, qty, price, link
    x.ordered, x.due_ship, x.planned = t, due, terms
    x.order_id = s.seq[ORDER]
    s.seq[ORDER] += 1
    x.delivery_id, x.invoice_id, x.left, x.amount, x.tax = -1, -1, 0, 0, 0
    if buyer < OUT and service == 0:
        s.firm[buyer].onorder += qty
    if seller < OUT and service == 0:
        s.firm[seller].d_ask += qty
    good = good_of(s, seller, buyer, service)
    note(s, ORD, s.books.order, (x.order_id, buyer, seller, good, qty, price, qty * price, t, due))
    schedule(s, at, 0, due)


@entry
def place_orders(s, t, eff, cum, burn, demand, price_now):
    """Every link whose day has come: the buyer orders what it used since, pulled towards its stock target.

    `eff`: share of normal ordering today; `cum`: its running sum by day; `price_now[chain, depth]`: price level.
    """
    for at in range(s.seq[LINKS]):
        k = s.link[at]
        if t < k.next_order or t < k.from_day or t >= k.to_day:
            continue
        if s.rng.random() >= eff:
            k.next_order = t + 1
            continue
        # Nobody makes up at once for a long time without orders (held deliveries, full stores).
        elapsed = min(LONGEST_SPAN, cum[t + burn] - cum[max(0, k.last_order + burn)])
        qty = 0.0
        outer = k.seller >= OUT
        if k.buyer < OUT:
            b = s.firm[k.buyer]
            if b.active == 0 or b.closing or b.norm <= 0:
                k.next_order = t + 7
                continue
            if b.hold and s.rng.random() < s.k.refuse_share:
                k.next_order = t + 5
                continue
            pull = 1.0 if outer else np.exp(s.firm[k.seller].attract)
            qty = k.share * pull / b.norm * b.fc * min(LARGEST_SPAN, elapsed * b.adjust)
        else:
            f = s.firm[k.seller]
            qty = k.share * f.base * np.exp(f.attract) * elapsed * demand[f.chain]
        if not outer and (s.firm[k.seller].active == 0 or s.firm[k.seller].closing):
            k.next_order = t + 7
            continue
        qty *= np.exp(s.k.lot_noise * s.rng.standard_normal() - 0.5 * s.k.lot_noise**2)
        whole = np.int64(qty + s.rng.random())
        k.next_order = t + max(2, np.int32(k.cycle * (0.5 + s.rng.random())))
        if whole < 1:
            continue
        k.last_order = t
        if outer:
            b = s.firm[k.buyer]
            level = price_now[b.chain, b.depth]
            price = np.int64(b.price * 0.66 * level * (1.0 + 0.02 * s.rng.standard_normal()))
        else:
            f = s.firm[k.seller]
            price = np.int64(f.price * price_now[f.chain, f.depth + 1])
        take_order(s, t, at, k.seller, k.buyer, whole, max(price, 1), t + k.lead, k.terms, k.key, 0)


@inner
def pick_outside(s):
    """An outside party, popular ones more often."""
    return OUT + np.searchsorted(s.outside, s.rng.random() * s.outside[-1])


@inner
def count_of(s, mean):
    """A small count with the given mean: its whole part, and one more with the chance of the rest."""
    return np.int64(mean + s.rng.random())


@entry
def one_off(s, t, eff, price_now):
    """Small purchases of services and supplies, one-off customers, and now and then an investment."""
    n = len(s.firm)
    for i in range(n):
        f = s.firm[i]
        if f.active == 0 or f.closing:
            continue
        year_sales = f.slow * 365.0
        # Partners grow with size as suppliers do; the factor keeps the mean over firms at the knobs' rates.
        busy = min(40.0, 0.36 * (f.size / 3.0) ** 0.75)
        for _ in range(count_of(s, s.k.sundry_year / 365.0 * eff * busy)):
            rest = max(f.overhead - 0.04, 0.004)
            lot = np.exp(0.9 * s.rng.standard_normal() - 0.4)
            amount = np.int64(year_sales * rest / (s.k.sundry_year * busy) * lot)
            seller = pick_outside(s)
            if s.rng.random() < 0.12:
                j = np.int64(s.rng.random() * n)
                if s.firm[j].active and j != i and not s.firm[j].closing and s.firm[j].retail == 0:
                    seller = j
            if amount > 5000:
                if seller < OUT:
                    qty = np.int64(amount / max(1.0, s.firm[seller].price))
                    if qty >= 1 and qty < max(3.0, s.firm[seller].fc * 8):
                        level = price_now[s.firm[seller].chain, s.firm[seller].depth + 1]
                        price = np.int64(s.firm[seller].price * level)
                        take_order(s, t, -1, seller, i, qty, max(price, 1), t + 3, 15, 0, 1)
                else:
                    take_order(s, t, -1, seller, i, 1, amount, t + 1, np.int64(s.rng.random() * 45), 0, 1)
        for _ in range(0 if f.retail else count_of(s, s.k.spot_year / 365.0 * eff * busy)):
            qty = np.int64(f.fc * 3.0 / max(busy, 0.5) * s.rng.exponential() + s.rng.random())
            if qty >= 1:
                price = np.int64(f.price * price_now[f.chain, f.depth + 1])
                take_order(s, t, -1, i, pick_outside(s), qty, max(price, 1), t + 4, np.int64(s.rng.random() * 60), 0, 0)
        if s.rng.random() < s.k.capex_year / 365.0 * eff and s.cash[i] > 0 and not f.constrained:
            amount = np.int64(year_sales * s.k.capex_share * (0.4 + 1.2 * s.rng.random()))
            if amount > 100000:
                take_order(s, t, -1, pick_outside(s), i, 1, amount, t + 15, 60, 1, 1)
        if s.rng.random() < s.k.accident_year / 365.0:
            size = (max(f.size, 3.0) / 10.0) ** s.k.accident_size
            amount = np.int64(year_sales * s.k.accident_share * s.rng.exponential() * size)
            if amount > 100000:
                take_order(s, t, -1, pick_outside(s), i, 1, amount, t + 2, 5, 2, 1)


@entry
def produce(s, activity, day_of_year, lockdown, lock_level):
    """Raw stock goes into work, work in progress comes out; bounded by staff, season and stock targets."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        f.made = 0
        f.use = 0.0
        f.d_out = 0
        if f.active == 0:
            continue
        level = activity * (lock_level if lockdown == f.region else 1.0)
        target = f.fc * 14.0
        if f.kind == FARM:
            harvest = 240.0 if f.crop < 3 else 150.0
            width = 45.0 if f.crop < 3 else 110.0
            gap = abs(day_of_year - harvest)
            level = SEASON_HIGH if gap < width else SEASON_LOW
            target = f.fc * 150.0
        capacity = f.staff * f.prod * level
        want = f.backlog + target - f.fin - f.wip + f.fc
        if f.closing:
            want = f.backlog - f.fin - f.wip
        start = np.int64(min(capacity, max(0.0, want), 1.0 * f.raw) + 0.5 * (level > 0))
        start = max(0, min(start, f.raw))
        f.raw -= start
        f.wip += start
        out = (f.wip + 2) // 3 if level > 0 else 0
        f.wip -= out
        f.fin += out
        f.d_out = out
        f.made = start
        if capacity > 0:
            f.use = min(1.0, start / (capacity / max(level, 0.05)))


@inner
def dispatch(s, t, at, days):
    """Sends an item off; it arrives after some days."""
    x = s.item[at]
    x.state = SHIPPED
    x.issued = t
    x.delivery_id = s.seq[DELIVERY]
    s.seq[DELIVERY] += 1
    schedule(s, at, 1, t + days)


@entry
def ship_due(s, t):
    """Orders whose shipping day has come: outside sellers and services go off, others join the seller's backlog."""
    at = s.ring[0, t % 1024]
    s.ring[0, t % 1024] = -1
    while at >= 0:
        follow = s.item[at].next
        x = s.item[at]
        gone = x.seller < OUT and s.firm[x.seller].active == 0
        gone = gone or (x.buyer < OUT and s.firm[x.buyer].active == 0)
        if gone:
            cancel(s, t, at)
        elif x.seller >= OUT or x.service:
            dispatch(s, t, at, 1 + np.int64(3 * s.rng.random()))
        else:
            push_back(s, x.seller, at)
        at = follow


@entry
def ship_backlog(s, t):
    """Each seller ships what its finished stock allows, oldest orders first; late orders may go in parts."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        at = f.back_head
        if at < 0:
            continue
        head, tail = -1, -1
        while at >= 0:
            follow = s.item[at].next
            x = s.item[at]
            keep = True
            dead = x.buyer < OUT and s.firm[x.buyer].active == 0
            if dead or t - x.due_ship > 75 or f.active == 0:
                f.backlog -= x.qty
                cancel(s, t, at)
                keep = False
            elif f.fin >= x.qty:
                f.fin -= x.qty
                f.backlog -= x.qty
                dispatch(s, t, at, 1 + np.int64(4 * s.rng.random()))
                keep = False
            elif t - x.due_ship > 10 and f.fin > 0 and f.fin * 4 >= x.qty:
                part = new_item(s)
                if part >= 0:
                    s.item[part] = s.item[at]
                    s.item[part].qty = f.fin
                    x.qty -= f.fin
                    f.backlog -= f.fin
                    f.fin = 0
                    dispatch(s, t, part, 1 + np.int64(4 * s.rng.random()))
            if keep:
                s.item[at].next = -1
                if tail >= 0:
                    s.item[tail].next = at
                else:
                    head = at
                tail = at
            at = follow
        f.back_head, f.back_tail = head, tail


@inner
def habit(s, buyer, terms):
    """Days after the invoice on which a liquid buyer means to pay: terms, and often a delay by habit."""
    late = s.k.late_share
    if buyer < OUT:
        late = min(0.95, late * (0.6 + 0.8 * (1.0 - s.firm[buyer].prudence)) * (1.25 if s.firm[buyer].core else 1.0))
    extra = 0.0
    if s.rng.random() < late:
        extra = min(s.k.late_days * s.rng.exponential(), 420.0)
    return terms + np.int64(extra)


@entry
def receive(s, t, vat, flows, voids):
    """Arrivals of the day: goods into the buyer's raw stock, the invoice written, its payment planned."""
    at = s.ring[1, t % 1024]
    s.ring[1, t % 1024] = -1
    while at >= 0:
        follow = s.item[at].next
        x = s.item[at]
        inside = x.buyer < OUT
        dead = inside and s.firm[x.buyer].active == 0
        if x.service == 0:
            if x.seller >= OUT:
                flows[FROM_OUTSIDE] += x.qty
            if not inside:
                flows[TO_OUTSIDE] += x.qty
            else:
                b = s.firm[x.buyer]
                b.onorder -= x.qty
                stock = max(b.raw, 0)
                b.unit_cost = (b.unit_cost * (stock + 1.0) + 1.0 * x.price * x.qty) / (stock + 1.0 + x.qty)
                if dead:
                    flows[SCRAPPED] += x.qty
                else:
                    b.raw += x.qty
        invoice(s, t, at, vat, voids)
        at = follow


@inner
def invoice(s, t, at, vat, voids):
    """The VAT invoice of a delivery; now and then a spoiled one is voided first."""
    x = s.item[at]
    rate = vat
    if x.seller < OUT:
        f = s.firm[x.seller]
        rate = 0.0 if f.exempt else (0.03 if f.small else vat)
    x.amount = x.qty * x.price
    x.tax = np.int64(np.rint(x.amount * rate))
    x.left = x.amount + x.tax
    shipped = x.issued
    x.issued, x.received = t, t
    x.due = t + x.planned
    good = good_of(s, x.seller, x.buyer, x.service)
    total = x.amount + x.tax
    number = s.seq[INVOICE]
    if voids > 0 and s.rng.random() < voids:
        wrong = np.int64(x.amount * (0.9 + 0.2 * s.rng.random()))
        tax = np.int64(np.rint(wrong * rate))
        row = (number, x.seller, x.buyer, good, t, wrong, tax, wrong + tax, t, -1, x.order_id, x.delivery_id, x.due, -1)
        note(s, INV, s.books.invoice, row)
        number += 1
    x.invoice_id = number
    s.seq[INVOICE] = number + 1
    row = (number, x.seller, x.buyer, good, t, x.amount, x.tax, total, FAR, -1, x.order_id, x.delivery_id, x.due, -1)
    note(s, INV, s.books.invoice, row)
    if x.service == 0:
        carrier = -1
        note(
            s,
            DEL,
            s.books.delivery,
            (x.delivery_id, x.order_id, x.seller, x.buyer, good, x.qty, shipped, t, carrier),
        )
    if x.seller < OUT:
        f = s.firm[x.seller]
        f.ar += total
        f.d_sales += x.amount
        f.m_sales += x.amount
        f.m_out += x.tax
        if x.service == 0:
            f.m_cost += np.int64(x.qty * f.unit_cost)
    if x.buyer < OUT:
        b = s.firm[x.buyer]
        b.ap += total
        b.d_buy += x.amount
        b.m_buy += x.amount
        if x.service:
            b.m_over += x.amount
        if b.small == 0 and b.exempt == 0:
            b.m_in += x.tax
        if b.active == 0:
            write_off(s, t, at)
            drop_item(s, at)
            return
    x.planned = t + (x.planned if x.key == ENFORCED else habit(s, x.buyer, x.planned))
    x.state = INVOICED
    schedule(s, at, 2, max(x.planned, t + 1))


@inner
def write_off(s, t, at):
    """A claim on a firm that is gone: off both books, a loss of the seller."""
    x = s.item[at]
    s.firm[x.buyer].ap -= x.left
    if x.seller < OUT:
        f = s.firm[x.seller]
        f.ar -= x.left
        f.m_bad += x.left
        f.lost += x.left
        f.lost_from = x.buyer
        f.lost_day = t
    x.left = 0


@inner
def settle(s, t, at, amount):
    """Pays an invoice wholly or in part; settles it when nothing is left."""
    x = s.item[at]
    move(s, t, x.buyer, x.seller, amount, 0, 0, x.invoice_id, -1, -1)
    x.left -= amount
    if x.seller < OUT:
        s.firm[x.seller].ar -= amount
    if x.buyer < OUT:
        s.firm[x.buyer].ap -= amount
    if x.left == 0:
        note(s, SET, s.books.settle, (x.invoice_id, t))


@inner
def give_back(s, t, at):
    """Part of the goods goes back before payment: a red letter, less to pay."""
    x = s.item[at]
    back = np.int64(x.qty * (0.05 + 0.3 * s.rng.random()))
    if back < 1 or back >= x.qty or s.firm[x.buyer].raw < back or s.firm[x.seller].active == 0:
        return
    amount = back * x.price
    tax = np.int64(x.tax * amount // max(x.amount, 1))
    if amount + tax >= x.left:
        return
    b, f = s.firm[x.buyer], s.firm[x.seller]
    b.raw -= back
    f.fin += back
    x.left -= amount + tax
    b.ap -= amount + tax
    f.ar -= amount + tax
    f.m_sales -= amount
    f.m_out -= tax
    f.d_sales -= amount
    b.d_buy -= amount
    b.m_buy -= amount
    if b.small == 0 and b.exempt == 0:
        b.m_in -= tax
    good = good_of(s, x.seller, x.buyer, 0)
    number, delivery = s.seq[INVOICE], s.seq[DELIVERY]
    s.seq[INVOICE] += 1
    s.seq[DELIVERY] += 1
    note(s, DEL, s.books.delivery, (delivery, x.order_id, x.seller, x.buyer, good, -back, t, t, -1))
    row = (
        number,
        x.seller,
        x.buyer,
        good,
        t,
        -amount,
        -tax,
        -amount - tax,
        FAR,
        x.invoice_id,
        x.order_id,
        delivery,
        t,
        -1,
    )
    note(s, INV, s.books.invoice, row)
    note(s, SET, s.books.settle, (number, t))


@entry
def fall_due(s, t):
    """Invoices whose planned day has come: outside buyers pay, others go to the buyer's list for the waterfall."""
    at = s.ring[2, t % 1024]
    s.ring[2, t % 1024] = -1
    while at >= 0:
        follow = s.item[at].next
        x = s.item[at]
        if x.left == 0:
            drop_item(s, at)
        elif x.buyer >= OUT:
            settle(s, t, at, x.left)
            drop_item(s, at)
        else:
            if x.service == 0 and x.seller < OUT and s.rng.random() < s.k.red_rate * 2.5:
                give_back(s, t, at)
            push_due(s, x.buyer, at)
        at = follow


@entry
def retail(s, t, season, demand, vat, lockdown, lock_level, price_now, flows):
    """Households buy from those who sell to them, for cash, as far as the stock reaches."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.retail == 0 or f.active == 0:
            continue
        level = season * demand[f.chain] * (lock_level if lockdown == f.region else 1.0)
        want = np.int64(f.base * np.exp(f.attract) * level * (0.6 + 0.8 * s.rng.random()) + s.rng.random())
        f.d_ask += want
        units = min(want, f.fin)
        if units <= 0:
            continue
        f.fin -= units
        flows[TO_HOUSEHOLDS] += units
        amount = units * np.int64(f.price * price_now[f.chain, f.depth + 1])
        rate = 0.0 if f.exempt else (0.03 if f.small else vat)
        tax = np.int64(np.rint(amount * rate))
        move(s, t, -1, i, amount + tax, 1, 1, -1, -1, -1)
        f.d_sales += amount
        f.m_sales += amount
        f.m_retail += amount
        f.m_out += tax
        f.m_retail_tax += tax
        f.m_cost += np.int64(units * f.unit_cost)


@entry
def bundle(s, t):
    """At a month's end one invoice stands for what households bought."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.m_retail > 0:
            number = s.seq[INVOICE]
            s.seq[INVOICE] += 1
            good = f.chain * 10 + f.depth
            total = f.m_retail + f.m_retail_tax
            row = (number, i, -1, good, t, f.m_retail, f.m_retail_tax, total, FAR, -1, -1, -1, t, -1)
            note(s, INV, s.books.invoice, row)
            note(s, SET, s.books.settle, (number, t))


@entry
def forecast(s, eff, season, lead_days):
    """Smooths demand and sales; sets how hard each firm pulls its stock towards target. Weekly norms of shares."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0:
            f.d_ask = 0
            continue
        usual = season if f.retail else eff
        f.fc += (f.d_ask - f.fc * usual) / 60.0
        f.fc = max(f.fc, 0.0)
        f.d_ask = 0
        f.fast += (f.d_sales - f.fast * usual) / 60.0
        f.slow += (f.d_sales - f.slow * usual) / 240.0
        f.lost *= 1.0 - 1.0 / 240.0
        cover = lead_days + (60.0 if f.kind == FARM else 0.0)
        position = f.raw + f.onorder + f.wip + f.fin - f.backlog
        gap = (f.fc * cover - position) / (f.fc * 40.0 + 1e-9)
        f.adjust = min(2.0, max(0.0, 1.0 + gap))
        if f.constrained:
            f.adjust *= 0.7


@entry
def norms(s, t):
    """Each buyer's sum of shares weighted by how attractive the sellers are."""
    for i in range(len(s.firm)):
        s.firm[i].norm = 0.0
    for at in range(s.seq[LINKS]):
        k = s.link[at]
        if k.buyer >= OUT or t < k.from_day or t >= k.to_day:
            continue
        if k.seller >= OUT:
            s.firm[k.buyer].norm += k.share
        elif s.firm[k.seller].active and not s.firm[k.seller].closing:
            s.firm[k.buyer].norm += k.share * np.exp(s.firm[k.seller].attract)
