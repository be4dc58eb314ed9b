"""Money: the daily waterfall of every firm, loans, renewals, private money, guarantees, closures.

Default is never drawn: it is the first day on which the oldest unpaid instalment of a loan is 90 days past due.
"""

from __future__ import annotations

import numpy as np

from sources.economy.compiled import entry, inner
from sources.economy.state import (
    APP,
    APPLICATION,
    BAD,
    BULLET,
    CLAIMS,
    CREDIT,
    DEF,
    DUTIES,
    ENQ,
    ENQUIRY,
    EXTENDED,
    FAULT,
    FREE,
    GUARANTEED,
    INSTALMENT,
    INTEREST,
    KEY_SUPPLIERS,
    LOANS,
    PRINCIPAL,
    PROMISED,
    REFUSED,
    REP,
    REPAID,
    RUNNING,
    SECTORS,
    SOCIAL,
    STAGES,
    SUPPLIERS,
    TAX,
    UNDECIDED,
    WAGE,
    WRITTEN_OFF,
    drop_item,
    move,
    note,
    pay_duty,
)
from sources.economy.trade import ENFORCED, SCRAPPED, settle, write_off

FAR = 2**30
DEFAULT_DAYS = 90

# Orders of paying, by the owner's character; entries 0–4 are the duties of `state`, then the stages.
# 0 plain, 1 dishonest: tax and social insurance after suppliers, 2 imprudent: key suppliers before interest,
# 3 both, 4 short of cash: social insurance last.
ORDERS = np.array(
    [
        [0, 9, 1, 2, 5, 3, 6, 4, 7, 8],
        [0, 9, 5, 3, 6, 4, 7, 1, 2, 8],
        [0, 9, 1, 2, 3, 6, 5, 4, 7, 8],
        [0, 9, 3, 6, 5, 4, 7, 1, 2, 8],
        [0, 9, 1, 5, 3, 6, 4, 7, 8, 2],
    ],
    "i8",
)


@entry
def due_day(loan, number):
    """Day on which instalment `number` (from 1) falls due."""
    return loan.start + number * 365 // 12


@entry
def principal_of(loan, number):
    """Principal of an instalment: all at the end of a bullet, equal parts otherwise."""
    if loan.product == BULLET:
        return loan.principal if number == loan.months else 0
    part = loan.principal // loan.months
    return loan.principal - part * (loan.months - 1) if number == loan.months else part


@entry
def interest_of(loan, number):
    """Interest of an instalment on the scheduled balance, actual days over 360, rounded to the fen."""
    before = loan.principal
    if loan.product != BULLET:
        before = loan.principal - (loan.principal // loan.months) * (number - 1)
    start = loan.start + (number - 1) * 365 // 12
    days = due_day(loan, number) - start
    return np.int64(np.rint(before * loan.rate * days / 360.0))


@inner
def to_repay(loan):
    """Principal to pay now: what is left of the first unpaid instalment, or all of a loan called in after default."""
    if loan.status == BAD:
        return loan.balance
    return min(loan.balance, principal_of(loan, loan.at) - loan.part_principal)


@inner
def bank_party(bank):
    """Party of a bank."""
    return -100 - bank


@inner
def pay_loan(s, t, d, interest, principal, payer):
    """Pays on the first unpaid instalment of a loan and moves on when it is paid."""
    loan = s.loan[d]
    bank = bank_party(loan.bank)
    f = s.firm[loan.firm]
    if interest > 0:
        move(s, t, payer, bank, interest, 7 if payer == loan.firm else 15, 4, -1, d, -1)
        loan.part_interest += interest
        f.m_interest += interest
    if principal > 0:
        move(s, t, payer, bank, principal, 8 if payer == loan.firm else 15, 4, -1, d, -1)
        loan.part_principal += principal
        loan.balance -= principal
        f.bank -= principal
    if interest + principal > 0:
        note(s, REP, s.books.repayment, (d, loan.at, t, principal, interest))
    while loan.at <= loan.months and loan.status == RUNNING:
        full = interest_of(loan, loan.at) + principal_of(loan, loan.at)
        if loan.part_interest + loan.part_principal < full or due_day(loan, loan.at) > t:
            break
        loan.at += 1
        loan.part_interest, loan.part_principal = 0, 0
    if loan.balance == 0:
        loan.status = REPAID
        loan.closed = t


@inner
def interest_due(s, t, i):
    """Interest fallen due and unpaid on the first unpaid instalment of each loan."""
    total = 0
    d = s.firm[i].loan_head
    while d >= 0:
        loan = s.loan[d]
        if (loan.status == RUNNING or loan.status == BAD) and loan.at <= loan.months and due_day(loan, loan.at) <= t:
            total += interest_of(loan, loan.at) - loan.part_interest
        d = loan.next
    return total


@inner
def principal_due(s, t, i):
    """Principal fallen due and unpaid on the first unpaid instalment of each loan."""
    total = 0
    d = s.firm[i].loan_head
    while d >= 0:
        loan = s.loan[d]
        if (loan.status == RUNNING or loan.status == BAD) and loan.at <= loan.months and due_day(loan, loan.at) <= t:
            total += to_repay(loan)
        d = loan.next
    return total


@inner
def serve_loans(s, t, i, principal):
    """Pays interest, or principal (with later interest), as far as cash reaches."""
    d = s.firm[i].loan_head
    while d >= 0:
        loan = s.loan[d]
        follow = loan.next
        while (loan.status == RUNNING or loan.status == BAD) and loan.at <= loan.months and due_day(loan, loan.at) <= t:
            want = interest_of(loan, loan.at) - loan.part_interest
            part = min(want, max(0, s.cash[i]))
            if part > 0:
                pay_loan(s, t, d, part, 0, i)
            if not principal or part < want:
                break
            if loan.status == REPAID or loan.at > loan.months or due_day(loan, loan.at) > t:
                break
            rest = to_repay(loan)
            part = min(rest, max(0, s.cash[i]))
            if part > 0:
                pay_loan(s, t, d, 0, part, i)
            if part < rest or rest == 0:
                break
        d = follow


@inner
def pay_suppliers(s, t, i, key, reserve):
    """Pays due invoices in the order in which they came due, key suppliers' or the others'; old ones in parts."""
    f = s.firm[i]
    at = f.due_head
    head, tail = -1, -1
    while at >= 0:
        follow = s.item[at].next
        x = s.item[at]
        if x.left > 0 and (x.key == key):
            free = s.cash[i] - reserve
            if free >= x.left:
                f.overdue -= x.left
                settle(s, t, at, x.left)
            elif (key == ENFORCED or t - x.planned > 30) and free > 200_000:
                part = free if key == ENFORCED else free // 2
                f.overdue -= part
                settle(s, t, at, part)
        if x.left == 0:
            if x.key == ENFORCED:
                f.claims -= 1
            drop_item(s, at)
        else:
            x.next = -1
            if tail >= 0:
                s.item[tail].next = at
            else:
                head = at
            tail = at
        at = follow
    f.due_head, f.due_tail = head, tail


@inner
def borrow_privately(s, t, i, need, cap):
    """Takes private money up to a cap; returns what was lent."""
    f = s.firm[i]
    amount = min(need, max(0, np.int64(cap) - f.private))
    amount = amount // 10000 * 10000
    if amount < 100_000:
        return 0
    move(s, t, -4, i, amount, 10, 0, -1, -1, -1)
    f.private += amount
    return amount


@inner
def put_in(s, t, i, need):
    """The owner pays in capital while there is any wealth left."""
    f = s.firm[i]
    amount = min(need, f.wealth)
    if amount < 100_000:
        return 0
    move(s, t, -1, i, amount, 13, 0, -1, -1, -1)
    f.wealth -= amount
    f.m_capital += amount
    return amount


@entry
def waterfall(s, t, i):
    """One firm's payments of one day, in the order that its owner's character and its cash allow."""
    f = s.firm[i]
    hard = 0
    for duty in range(DUTIES):
        hard += s.owed[duty, i]
    hard += interest_due(s, t, i)
    soft = principal_due(s, t, i)
    need = hard + soft + f.overdue
    f.constrained = 0
    order = f.order
    if need == 0:
        return
    if s.cash[i] < need:
        f.constrained = 1
        year = f.slow * 365.0
        # An owner puts nothing more into a loan that was called in.
        gap = hard + (0 if f.defaulted else soft // 2) + f.overdue // 4 - s.cash[i]
        if gap > 0:
            gap -= put_in(s, t, i, gap)
        if gap > 0 and f.borrower and f.app_due == FAR and t - f.last_apply > 75 and f.closing == 0:
            apply_for(s, t, i, max(gap * 2, np.int64(0.05 * year)), BULLET, 0)
        if soft > 0 and f.renew_day == FAR and promised(s, t, i) > 0:
            lent = borrow_privately(s, t, i, promised(s, t, i) - max(0, s.cash[i] - hard), FAR * 1000.0)
            f.bridge += lent
        if hard > s.cash[i]:
            cap = s.k.private_cap * year * (1.3 - 0.6 * f.prudence)
            borrow_privately(s, t, i, hard - s.cash[i], cap)
        if s.cash[i] < hard:
            order = 4 if f.order == 0 else f.order
    reserve = 0
    if f.constrained:
        reserve = np.int64(f.prudence * 0.5 * f.wage * f.staff)
    for step in range(STAGES):
        stage = ORDERS[order, step]
        if s.cash[i] <= 0:
            break
        if stage < DUTIES:
            pay_duty(s, t, i, stage, min(s.owed[stage, i], s.cash[i]))
        elif stage == CLAIMS:
            if f.claims > 0:
                pay_suppliers(s, t, i, ENFORCED, 0)
        elif stage == INTEREST:
            serve_loans(s, t, i, False)
        elif stage == KEY_SUPPLIERS:
            if f.due_head >= 0:
                pay_suppliers(s, t, i, 1, 0)
        elif stage == SUPPLIERS:
            if f.due_head >= 0:
                pay_suppliers(s, t, i, 0, reserve)
        elif stage == PRINCIPAL and soft > 0:
            serve_loans(s, t, i, True)


@entry
def waterfalls(s, t):
    """All firms pay, in an order that rotates so that nobody is always first."""
    n = len(s.firm)
    for step in range(n):
        i = (step + t * 97) % n
        if s.firm[i].active:
            waterfall(s, t, i)
        elif s.cash[i] > 0 and s.firm[i].closed <= t:
            wind_up(s, t, i)


@inner
def wind_up(s, t, i):
    """What a closed firm still receives goes to its banks, then to its owners."""
    serve_loans(s, t, i, True)
    if s.cash[i] > 0:
        move(s, t, i, -1, s.cash[i], 17, 0, -1, -1, -1)


@inner
def promised(s, t, i):
    """Principal due today or earlier whose renewal the bank has promised."""
    total = 0
    d = s.firm[i].loan_head
    while d >= 0:
        loan = s.loan[d]
        if loan.status == RUNNING and loan.renewal == PROMISED and due_day(loan, loan.months) <= t:
            total += loan.balance
        d = loan.next
    return total


@entry
def pick_bank(s, drawn):
    """The bank of a draw in 0…1, by shares of the market: the first one by its own, the others evenly."""
    others = len(s.cash) - len(s.firm) - SECTORS - 1
    first = s.k.first_bank_share
    if drawn < first:
        return np.int64(0)
    return 1 + min(np.int64((drawn - first) / (1.0 - first) * others), np.int64(others - 1))


@inner
def apply_for(s, t, i, amount, product, purpose):
    """Files an application at a bank, in a guarantee circle at the circle's; it is decided some days later. The bank
    asks the bureau at once."""
    f = s.firm[i]
    drawn = s.rng.random()
    f.app_bank = pick_bank(s, f.lot if f.circle >= 0 else drawn)
    f.app_amount = amount // 1_000_000 * 1_000_000
    f.app_product, f.app_purpose = product, purpose
    f.app_due = t + 3 + np.int64(s.rng.random() * 12)
    f.app_id = s.seq[APPLICATION]
    s.seq[APPLICATION] += 1
    f.last_apply = t
    enquire(s, t, i, f.app_bank, 0)


@inner
def enquire(s, t, i, bank, purpose):
    """A bank's enquiry at the bureau (0 approval, 1 review after the loan)."""
    note(s, ENQ, s.books.enquiry, (i, bank, t, purpose))
    s.seq[ENQUIRY] += 1


@inner
def appeal(s, t, i, credit):
    """What a bank sees of a firm, as a score with noise; above zero it lends."""
    f = s.firm[i]
    year = f.slow * 365.0 + 1.0
    trend = np.log((f.fast * 365.0 + 1.0) / year)
    late = 1.0 if s.owed[SOCIAL, i] + s.owed[TAX, i] > 0.02 * year else 0.0
    stretch = f.overdue / (f.ap + 1.0)
    z = s.k.bank_base + 1.5 * min(0.5, max(-0.7, trend)) - 3.0 * max(0.0, f.bank / year - 0.25)
    z += 0.25 * np.log(f.staff / 5.0 + 0.2) + 0.9 * credit - 1.5 * late - 1.2 * stretch
    if f.dpd > 0:
        z -= 1.0 + f.dpd / 15.0
    if f.defaulted:
        z -= 8.0
    return z + s.k.bank_noise * s.rng.standard_normal()


@entry
def lend(s, t, i, bank, amount, months, product, base_rate, spread, security, guarantor, renews, app, purpose):
    """Pays out a loan and hangs it on the firm's list; returns its number."""
    d = s.seq[LOANS]
    if d >= len(s.loan):
        s.seq[FAULT] = 30
        return -1
    s.seq[LOANS] = d + 1
    f = s.firm[i]
    loan = s.loan[d]
    loan.firm, loan.bank, loan.start, loan.months, loan.at = i, bank, t, months, 1
    loan.closed, loan.renews, loan.guarantor, loan.called, loan.planted = FAR, renews, guarantor, FAR, -1
    loan.default_day = FAR
    loan.product, loan.status, loan.security, loan.renewal = product, RUNNING, security, UNDECIDED
    loan.purpose = purpose
    loan.principal, loan.balance, loan.part_interest, loan.part_principal, loan.guaranteed = amount, amount, 0, 0, 0
    loan.app_id, loan.diverted = app, 0.0
    size = 0.004 * np.log(max(f.staff, 3) / 12.0)
    loan.rate = np.rint((base_rate + spread - size + 0.006 * s.rng.standard_normal()) * 10000) / 10000
    loan.rate = max(loan.rate, 0.022)
    loan.next = f.loan_head
    f.loan_head = d
    f.bank += amount
    move(s, t, bank_party(bank), i, amount, 9, 0, -1, d, -1)
    return d


@inner
def find_guarantor(s, i):
    """A member of the same guarantee circle or group, else another firm of the region; −1 if none is sound."""
    n = len(s.firm)
    f = s.firm[i]
    best = -1
    start = np.int64(s.rng.random() * n)
    for step in range(n):
        j = (start + step) % n
        g = s.firm[j]
        if j == i or g.active == 0 or g.defaulted or g.closing or g.dpd > 0:
            continue
        if (f.circle >= 0 and g.circle == f.circle) or (f.group >= 0 and g.group == f.group):
            return j
        if best < 0 and g.region == f.region and g.staff >= f.staff and step < 400:
            best = j
        if step > 400 and f.circle < 0 and f.group < 0 and best >= 0:
            break
    return best


@inner
def decide(s, t, i, credit, base_rate, spread):
    """The bank decides on a pending application."""
    f = s.firm[i]
    year = f.slow * 365.0
    limit = np.int64(s.k.bank_limit * year * (0.8 + 0.4 * s.rng.random()) * (1.0 + 0.3 * credit)) - f.bank
    amount = min(f.app_amount, limit) // 1_000_000 * 1_000_000
    z = appeal(s, t, i, credit)
    age = t - f.founded
    reason = 0
    if z <= 0:
        reason = 1
    if age < 1100 and s.rng.random() < 0.75:
        reason = 2
    if amount < 5_000_000:
        reason = 3
    row = (
        f.app_id,
        i,
        f.app_bank,
        f.app_product,
        f.last_apply,
        f.app_amount,
        t,
        1 if reason == 0 else 0,
        reason,
        f.app_purpose,
    )
    note(s, APP, s.books.application, row)
    f.app_due = FAR
    if reason:
        return
    security = np.int64(CREDIT)
    guarantor = -1
    draw = s.rng.random()
    if draw < s.k.guarantee_share * (1.0 + 0.3 * credit):
        guarantor = find_guarantor(s, i)
        if guarantor >= 0:
            security = GUARANTEED
    elif draw < 0.62:
        security = 2
    elif draw < 0.76:
        security = 3
    elif draw < 0.82:
        security = 4
    months = 12
    if f.app_product == INSTALMENT:
        months = 18 if s.rng.random() < 0.5 else 36
    lend(
        s,
        t,
        i,
        f.app_bank,
        amount,
        months,
        f.app_product,
        base_rate,
        spread,
        security,
        guarantor,
        -1,
        f.app_id,
        f.app_purpose,
    )


@inner
def renewals(s, t, d, credit, base_rate, spread):
    """A bullet near its end: the bank extends it, promises a new loan after repayment, or refuses."""
    loan = s.loan[d]
    f = s.firm[loan.firm]
    end = due_day(loan, loan.months)
    if t == end - 20 and loan.renewal == UNDECIDED and f.closing == 0:
        enquire(s, t, loan.firm, loan.bank, 0)
        z = appeal(s, t, loan.firm, credit) + 1.1
        rich = s.cash[loan.firm] > 1.5 * loan.balance and s.rng.random() < 0.5
        if rich:
            return
        if s.rng.random() < s.k.withdraw:
            z = -1.0
        if z <= 0:
            loan.renewal = REFUSED
            f.refused = t
        elif s.rng.random() < s.k.no_repay:
            loan.renewal = EXTENDED
        else:
            loan.renewal = PROMISED
        row = (
            s.seq[APPLICATION], loan.firm, loan.bank, BULLET, t - 5, loan.balance, t,
            1 if z > 0 else 0, 0 if z > 0 else 1, 2,
        )  # fmt: skip
        note(s, APP, s.books.application, row)
        loan.renew_app = s.seq[APPLICATION]
        s.seq[APPLICATION] += 1
    if t == end and loan.renewal == EXTENDED and loan.balance > 0 and f.dpd == 0:
        amount = loan.balance
        new = lend(
            s,
            t,
            loan.firm,
            loan.bank,
            amount,
            12,
            BULLET,
            base_rate,
            spread,
            loan.security,
            loan.guarantor,
            d,
            loan.renew_app,
            2,
        )
        if new >= 0:
            pay_loan(s, t, d, 0, amount, loan.firm)


@inner
def after_bridge(s, t, i, credit, base_rate, spread):
    """The promised loan is paid out some days after the old one was repaid — unless the bank withdraws after all."""
    f = s.firm[i]
    if t < f.renew_day:
        return
    f.renew_day = FAR
    chance = s.k.renege * (1.0 - 1.5 * credit)
    if s.rng.random() < max(0.005, chance) or f.dpd > 0 or f.defaulted:
        f.refused = t
        return
    old = s.loan[f.renew_loan]
    lend(
        s,
        t,
        i,
        f.renew_bank,
        f.renew_amount,
        12,
        BULLET,
        base_rate,
        spread,
        old.security,
        old.guarantor,
        f.renew_loan,
        old.renew_app,
        2,
    )
    back = min(f.bridge, min(f.private, max(0, s.cash[i])))
    if back > 0:
        move(s, t, i, -4, back, 12, 0, -1, -1, -1)
        f.private -= back
        f.bridge = 0


@entry
def loans_day(s, t, credit, base_rate, spread):
    """Days past due, defaults, renewals and guarantors' payments of every loan; then each firm's applications."""
    for i in range(len(s.firm)):
        s.firm[i].dpd = 0
    for d in range(s.seq[LOANS]):
        loan = s.loan[d]
        if loan.status == REPAID:
            if loan.closed == t and loan.renewal == PROMISED and s.firm[loan.firm].active:
                f = s.firm[loan.firm]
                f.renew_day, f.renew_bank, f.renew_loan = t + 2 + np.int64(s.rng.random() * 6), loan.bank, d
                f.renew_amount = loan.principal
            continue
        if loan.status == WRITTEN_OFF:
            continue
        f = s.firm[loan.firm]
        late = 0
        if loan.at <= loan.months:
            late = max(0, t - due_day(loan, loan.at))
        f.dpd = max(f.dpd, late)
        if late >= DEFAULT_DAYS and loan.status == RUNNING:
            loan.status = BAD
            loan.default_day = t
            if not f.defaulted:
                f.defaulted = 1
                f.default_day = t
                first = t - late
                row = (loan.firm, d, first, first + 30, t, f.bank, cause_of(s, t, loan.firm), f.lost_from)
                note(s, DEF, s.books.default, row)
        if late >= 120 and loan.guarantor >= 0:
            call_guarantor(s, t, d)
        if late > 540:
            loan.status = WRITTEN_OFF
            loan.closed = t
            f.bank -= loan.balance
        if loan.product == BULLET and loan.status == RUNNING and f.active:
            renewals(s, t, d, credit, base_rate, spread)


@inner
def cause_of(s, t, i):
    """The main reason for a default: fraud, a customer's loss, a refused renewal, costs, or demand."""
    f = s.firm[i]
    year = f.slow * 365.0 + 1.0
    if f.fraud:
        return 4
    if f.lost > 0.03 * year and t - f.lost_day < 540:
        return 1
    if t - f.refused < 200:
        return 2
    if f.attract > -0.15 and np.log((f.fast + 1.0) / (f.slow + 1.0)) > -0.15:
        return 3
    return 0


@inner
def call_guarantor(s, t, d):
    """The guarantor pays what it can spare until the loan is settled."""
    loan = s.loan[d]
    if loan.called == FAR:
        loan.called = t
    j = loan.guarantor
    g = s.firm[j]
    free = s.cash[j] - np.int64(0.5 * g.wage * g.staff)
    if g.active == 0 or free < 1_000_000 or (t - loan.called) % 15:
        return
    part = min(free // 2, loan.balance)
    interest = 0
    if loan.at <= loan.months and due_day(loan, loan.at) <= t:
        interest = min(part, interest_of(loan, loan.at) - loan.part_interest)
    loan.guaranteed += part
    pay_loan(s, t, d, interest, part - interest, j)


@entry
def requests(s, t, credit, base_rate, spread):
    """Pending decisions, promised loans, growth-led applications, dividends and repayment of private money."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0:
            continue
        if f.app_due <= t:
            decide(s, t, i, credit, base_rate, spread)
        if f.renew_day != FAR:
            after_bridge(s, t, i, credit, base_rate, spread)
        if (t + i) % 7:
            continue
        year = f.slow * 365.0
        usual = year / 365.0
        target = usual * (25.0 + 25.0 * f.prudence)
        spare = s.cash[i] - np.int64(target)
        if spare > 0 and f.private > 0:
            back = min(spare, f.private)
            move(s, t, i, -4, back, 12, 0, -1, -1, -1)
            f.private -= back
            f.bridge = min(f.bridge, f.private)
            spare -= back
        if spare > 0 and f.overdue == 0 and f.dpd == 0 and not f.defaulted:
            share = 0.10 * (1.2 - f.thrift)
            out = np.int64(spare * share)
            if out > 10_000:
                move(s, t, i, -1, out, 14, 0, -1, -1, -1)
                f.m_div += out
                f.wealth = min(np.int64(s.k.owner_wealth * year * (0.4 + f.prudence)), f.wealth + out // 4)
        rested = f.app_due == FAR and t - f.last_apply > 150
        if f.borrower and f.closing == 0 and rested and s.cash[i] < 0.6 * target and s.rng.random() < 0.10:
            product = INSTALMENT if s.rng.random() < 0.4 else BULLET
            apply_for(s, t, i, np.int64(year * (0.09 + 0.10 * s.rng.random())), product, 1)


@entry
def month_interest_private(s, t):
    """Private lenders take their interest on the 20th; what cannot be paid is added to the debt."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.private <= 0 or f.active == 0:
            continue
        interest = np.int64(np.rint(f.private * s.k.private_month))
        paid = min(interest, max(0, s.cash[i]))
        move(s, t, i, -4, paid, 11, 0, -1, -1, -1)
        f.m_interest += paid
        f.private += interest - paid


@inner
def close_firm(s, t, i, flows):
    """A firm ends: a last waterfall, stock sold off, claims on it written off, open orders fall away by themselves."""
    f = s.firm[i]
    units = f.raw + f.wip + f.fin
    if units > 0:
        value = np.int64(0.15 * units * max(f.unit_cost, 1.0))
        move(s, t, -3, i, value, 17, 0, -1, -1, -1)
        flows[SCRAPPED] += units
        f.raw, f.wip, f.fin = 0, 0, 0
    waterfall(s, t, i)
    for at in range(len(s.item)):
        x = s.item[at]
        if x.state != FREE and x.buyer == i and x.left > 0:
            write_off(s, t, at)
    at = f.due_head
    while at >= 0:
        follow = s.item[at].next
        drop_item(s, at)
        at = follow
    f.due_head, f.due_tail, f.overdue, f.claims = -1, -1, 0, 0
    f.active, f.closed, f.constrained, f.use = 0, t, 0, 0.0
    f.staff = 0
    f.private = 0
    wind_up(s, t, i)


@entry
def endings(s, t, flows):
    """Who is wound up, who gives up, who has finished closing."""
    for i in range(len(s.firm)):
        f = s.firm[i]
        if f.active == 0 or f.core:
            continue
        if f.closing:
            done = f.ar <= 0 and f.bank == 0
            if done or t - f.closing_from > 400 or (t - f.closing_from > 150 and f.bank == 0):
                close_firm(s, t, i, flows)
            continue
        if s.owed[WAGE, i] > 0 and t - s.since[WAGE, i] > 100:
            close_firm(s, t, i, flows)
            continue
        if f.defaulted and f.dpd >= 60 and s.rng.random() < s.k.sue_close:
            close_firm(s, t, i, flows)
            continue
        if (t + i) % 30 == 0 and f.bank == 0:
            age = (t - f.founded) / 365.0
            rate = 0.03
            if age < 1:
                rate = 0.016
            elif age < 2:
                rate = 0.045
            elif age < 3:
                rate = 0.095
            elif age < 7:
                rate = 0.075
            rate *= s.k.exit_scale * 1.35 * (max(f.size, 3.0) / 5.0) ** -0.35
            if s.rng.random() < rate / 12.17:
                f.closing, f.closing_from = 1, t
