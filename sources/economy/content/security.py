"""Collateral: what secures each loan: plots, machines, invoices, warehouse receipts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content.facts import Facts

ADVANCE = {"mortgage": 0.6, "receivable": 0.8, "stock": 0.6}  # loan over value
MU_FEN = 9_000_000  # a mu of land right
HORIZON_DAYS = 150  # invoices younger than this can be pledged
PER_FIRM = 40  # invoices looked at for one pledge
FIRST_HELD_DAYS = 14  # a receivable that is pledged again was with its first lender so long at least


def pledgeable(facts: Facts, invoices: pd.DataFrame, firms: np.ndarray) -> dict[int, pd.DataFrame]:
    """Real sales invoices of the firms, newest last, with the day each was settled (NaT: open)."""
    mine = np.isin(invoices["seller_id"].to_numpy(), firms) & (invoices["total_fen"].to_numpy() > 0)
    mine &= invoices["voided_on"].isna().to_numpy() & invoices["red_of_id"].isna().to_numpy()
    mine &= (invoices["planted_id"].fillna(-1).to_numpy() < 0) & ~invoices["taken_back"].to_numpy(bool)
    columns = ["seller_id", "buyer_id", "invoice_number", "issued_on", "due_on", "settled_on", "total_fen"]
    return {f: g.sort_values("issued_on") for f, g in invoices.loc[mine, columns].groupby("seller_id")}


def open_on(rows: pd.DataFrame | None, day: np.datetime64) -> pd.DataFrame | None:
    """Invoices issued before and not settled on the day."""
    if rows is None:
        return None
    day = np.datetime64(day, "D")
    issued = rows["issued_on"].to_numpy("datetime64[D]")
    settled = rows["settled_on"].to_numpy("datetime64[D]")
    keep = (issued <= day) & (issued > day - HORIZON_DAYS) & (np.isnat(settled) | (settled > day))
    return rows[keep].tail(PER_FIRM)


def pairs_of_lenders(loans: pd.DataFrame) -> dict[int, list[tuple[int, int]]]:
    """Firm → pairs (earlier loan row, later loan row) at different banks whose terms overlap."""
    out: dict[int, list[tuple[int, int]]] = {}
    for firm, group in loans.sort_values("started_on").groupby("firm_id"):
        rows = list(group.itertuples())
        for i, one in enumerate(rows):
            for other in rows[i + 1 :]:
                if other.bank_id != one.bank_id and other.started_on < one.ends_on:
                    out.setdefault(int(firm), []).append((one.Index, other.Index))
    return out


def collateral(
    facts: Facts,
    loans: pd.DataFrame,
    invoices: dict[int, pd.DataFrame],
    plots: pd.DataFrame,
    machines: pd.DataFrame,
    receipts: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """`collateral`: one or more rows a secured loan; doubly financed receivables add theirs at the second lender."""
    plot_of = plots.groupby("firm_id")["plot_id"].unique() if len(plots) else {}
    area = plots.groupby("plot_id")["registered_area_mu"].max() if len(plots) else {}
    machine_of = dict(list(machines.groupby("firm_id"))) if len(machines) else {}
    receipt_of = dict(list(receipts.groupby(["owner_id", "pledged_to_id"]))) if len(receipts) else {}
    rows: list[tuple] = []
    for loan in loans.itertuples():
        span = (loan.started_on, loan.closed_on)
        if loan.security == "mortgage":
            if loan.firm_id in plot_of:
                plot = int(rng.choice(plot_of[loan.firm_id]))
                rows.append((loan.loan_id, "plot", str(plot), int(area[plot] * MU_FEN), *span, -1))
            elif loan.firm_id in machine_of:
                for machine in machine_of[loan.firm_id].head(3).itertuples():
                    value = int(machine.rated_kw * 400_000)
                    rows.append((loan.loan_id, "machine", str(machine.equipment_id), value, *span, -1))
            else:
                deed = f"{rng.integers(10**9, 10**10)}"
                rows.append((loan.loan_id, "building", deed, int(loan.principal_fen / ADVANCE["mortgage"]), *span, -1))
        elif loan.security == "stock":
            held = receipt_of.get((loan.firm_id, loan.bank_id))
            if held is None:
                value = int(loan.principal_fen / ADVANCE["stock"])
                rows.append((loan.loan_id, "floor_stock", f"{rng.integers(10**7, 10**8)}", value, *span, -1))
    rows += _receipts(facts, loans, receipts)
    twice = _twice(facts, loans, invoices, rng)
    rows += twice + _receivables(loans, invoices, {number for _, _, number, *_ in twice})
    columns = ["loan_id", "kind", "object", "value_fen", "from_on", "to_on", "planted_id"]
    frame = pd.DataFrame(rows, columns=columns).drop_duplicates(["loan_id", "kind", "object"], ignore_index=True)
    frame["to_on"] = facts.within(frame["to_on"].to_numpy("datetime64[D]"))
    frame = frame.sort_values(["from_on", "loan_id", "object"], ignore_index=True)
    frame.insert(0, "collateral_id", rng.permutation(len(frame)) + 1)
    return frame


def _receivables(loans: pd.DataFrame, invoices: dict[int, pd.DataFrame], taken: set[str]) -> list[tuple]:
    """Each loan's newest open invoices until it is covered: neither `taken` nor pledged for a loan that still runs."""
    out, held_until = [], {}
    for loan in loans[loans["security"] == "receivable"].sort_values(["started_on", "loan_id"]).itertuples():
        rows, covered = open_on(invoices.get(loan.firm_id), loan.started_on), 0
        for row in rows.iloc[::-1].itertuples() if rows is not None else ():
            number = row.invoice_number
            if covered * ADVANCE["receivable"] >= loan.principal_fen:
                break
            if number in taken or held_until.get(number, loan.started_on) > loan.started_on:
                continue
            out.append((loan.loan_id, "invoice", number, int(row.total_fen), loan.started_on, loan.closed_on, -1))
            held_until[number] = pd.Timestamp.max if pd.isna(loan.closed_on) else loan.closed_on
            covered += row.total_fen
    return out


def _receipts(facts: Facts, loans: pd.DataFrame, receipts: pd.DataFrame) -> list[tuple]:
    """A pledged receipt secures the holder's loan to the owner that runs on its day of issue, else its next one."""
    out = []
    if not len(receipts):
        return out
    by_pair = {k: g.sort_values("started_on") for k, g in loans.groupby(["firm_id", "bank_id"])}
    for row in receipts[receipts["pledged_to_id"].notna()].itertuples():
        own = by_pair.get((row.owner_id, int(row.pledged_to_id)))
        if own is None:
            continue
        own = own[own["ends_on"] >= row.issued_on]
        if len(own):
            value = int(row.quantity_units * facts.firm["price_fen"].iat[row.owner_id])
            start = max(own.iloc[0]["started_on"], row.issued_on)
            out.append(
                (own.iloc[0]["loan_id"], "receipt", str(row.receipt_id), value, start, row.released_on, row.planted_id)
            )
    return out


def _twice(
    facts: Facts, loans: pd.DataFrame, invoices: dict[int, pd.DataFrame], rng: np.random.Generator
) -> list[tuple]:
    """The same receivables at two lenders; honest look-alikes pledge them again after the first lender let go."""
    out = []
    for row in facts.lies.of("double_financed_receivable", look_alike=None).itertuples():
        first, second = (loans.loc[int(i)] for i in row.loan_rows)
        bills = open_on(invoices.get(int(row.firm_ids[0])), second.started_on)
        if bills is not None and row.look_alike:  # what the first lender can have held and let go
            bills = bills[bills["issued_on"] <= second.started_on - pd.Timedelta(days=FIRST_HELD_DAYS)]
        if bills is None or bills.empty:
            continue
        bills = bills.tail(4)
        for bill in bills.itertuples():
            number = str(bill.invoice_number)
            start = max(first.started_on, bill.issued_on)
            until = second.started_on - pd.Timedelta(days=2) if row.look_alike else first.ends_on
            out.append((first.loan_id, "invoice", number, int(bill.total_fen), start, until, row.planted_id))
            if row.knows_rule:  # a number that a clerk might have misread
                at = int(rng.integers(2, len(number)))
                number = number[:at] + str((int(number[at]) + 3) % 10 if number[at].isdigit() else 7) + number[at + 1 :]
            out.append(
                (
                    second.loan_id,
                    "invoice",
                    number,
                    int(bill.total_fen),
                    second.started_on,
                    second.ends_on,
                    row.planted_id,
                )
            )
    return out
