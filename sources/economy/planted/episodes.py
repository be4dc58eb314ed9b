"""All planted episodes of a world: what the run made of the plan, what is chosen after it, look-alikes found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources.economy.content import gather, land, security
from sources.economy.content.facts import Facts
from sources.economy.interface import WorldData
from sources.economy.planted import after
from sources.economy.planted.catalogue import LOOK_ALIKES_AT_STANDARD, episodes_wanted

LEAST_OUTPUT = 40  # units a day from which an hourly feed has a shape at all


def settle(world: WorldData, facts: Facts, invoices, loans, abroad, owners) -> pd.DataFrame:
    """The table `planted`, with the extra column `loan_rows` for doubly financed receivables."""
    planned = world.plan.planted.to_pandas() if world.plan.planted is not None else pd.DataFrame()
    guarantees = gather.read(world, "guarantee")
    planned = _carried_out(planned, facts, invoices, loans, guarantees)
    rng = facts.rng("planted")
    able = _able(facts, abroad, owners)
    if len(planned):  # those who invent invoices have them in their books already
        papers = planned[planned["kind"].isin(["invoice_ring", "fake_sales"])]
        able["cooked_statement"] = np.setdiff1d(able["cooked_statement"], sorted(after.members(papers, False)))
    later = after.choose(facts, able, planned, rng)
    liars, honest = (_firms(planned, later, look_alike) for look_alike in (False, True))
    later += after.double_financed(facts, _pledging(facts, invoices, loans), loans, liars, honest, rng)
    later += _found(facts, planned, later, invoices, loans, guarantees, world, rng)
    return after.joined(planned, later)


def _pledging(facts: Facts, invoices: pd.DataFrame, loans: pd.DataFrame) -> dict[int, list[tuple[int, int]]]:
    """Firm → up to three pairs of overlapping loans at two banks, with invoices open when the second began."""
    pairs = security.pairs_of_lenders(loans)
    bills = security.pledgeable(facts, invoices, np.array(sorted(pairs), int))
    out = {}
    for firm, both in pairs.items():
        held = [p for p in both[:3] if len(_open_bills(bills.get(firm), loans.at[p[1], "started_on"]))]
        if held:
            out[firm] = held
    return out


def _open_bills(rows: pd.DataFrame | None, day) -> pd.DataFrame:
    return security.open_on(rows, day) if rows is not None else pd.DataFrame()


def _firms(planned: pd.DataFrame, later: list[dict], look_alike: bool) -> set[int]:
    """Firms of lies or of look-alikes so far."""
    return after.members(planned, look_alike) | {
        f for r in later if r["look_alike"] == look_alike for f in r["firm_ids"]
    }


def _able(facts: Facts, abroad, owners: np.ndarray) -> dict[str, np.ndarray]:
    """Firms that can do each kind that is chosen after the run."""
    staff = np.median(facts.day["staff"][::30], axis=0)
    kind = facts.firm["kind"]
    made = facts.day["output_units"].max(axis=0) > 0
    exporters = abroad["export"]["firm_id"].value_counts()
    telemetry = facts.machines["firm_id"].unique() if len(facts.machines) else np.zeros(0, int)
    busy = np.percentile(facts.day["output_units"], 75, axis=0) >= LEAST_OUTPUT
    telemetry = telemetry[busy[telemetry.astype(int)]] if busy[telemetry.astype(int)].sum() >= 4 else telemetry
    ordinary = kind.isin(["manufacturer", "merchant", "dealer", "retailer"]).to_numpy()
    stocked = np.median(facts.day["finished_units"][::30], axis=0) > 10
    return {
        "spoofed_telemetry": np.asarray(telemetry, int),
        "cooked_statement": np.flatnonzero(ordinary & (staff >= 4)),
        "false_receipt": owners,
        "secret_withdrawal": owners,
        "double_pledge": owners,
        "farm_area": land.farms(facts),
        "inflated_customs": exporters.index[exporters >= 8].to_numpy(int),
        "stock_shown": np.flatnonzero(ordinary & stocked & made & facts.firm["on_platform"].to_numpy(bool)),
    }


def _carried_out(planned: pd.DataFrame, facts: Facts, invoices, loans, guarantees) -> pd.DataFrame:
    """Planned rows of which the run carried out anything; loans and guarantees give theirs the true dates."""
    if planned.empty:
        return planned
    issued = set(invoices["planted_id"].dropna().astype(int))
    paid = set(facts.tables["planted_payment"]["planted_id"].astype(int))
    lent = loans[loans["planted_id"].notna()] if "planted_id" in loans else loans.iloc[:0]
    first, last = facts.alive()
    keep, rows = [], planned.to_dict("records")
    for row in rows:
        firms = [int(f) for f in row["firm_ids"]]
        ok = True
        if row["kind"] in ("invoice_ring", "fake_sales"):
            ok = row["planted_id"] in issued
        elif row["kind"] == "understated_heads" or (row["kind"] == "understated_sales" and not row["look_alike"]):
            begin, end = facts.index(row["from_on"]), facts.index(row["to_on"])
            ok = bool(facts.day["active"][begin, firms[0]]) and min(last[firms[0]], end) - begin >= 60
        elif row["kind"] in ("padded_payroll", "pos_ring", "understated_sales"):
            calm = row["kind"] == "pos_ring" and row["look_alike"]
            ok = (calm and last[firms[0]] >= first[firms[0]]) or row["planted_id"] in paid
        elif row["kind"] == "diverted_loan":
            mine = lent[lent["planted_id"].astype("Int64") == row["planted_id"]]
            ok = len(mine) > 0
            if ok:
                row["from_on"], row["to_on"] = mine["started_on"].min(), mine["ends_on"].max()
        elif row["kind"] == "guarantee_circle":
            inner = guarantees[guarantees["guarantor_id"].isin(firms) & guarantees["firm_id"].isin(firms)]
            ok = len(inner) >= 2
            if ok:
                row["from_on"] = inner["from_on"].min()  # the year in which it is tied
                row["to_on"] = row["from_on"] + pd.Timedelta(days=365)
        elif row["kind"] == "application_ring":
            start = facts.index(row["from_on"])
            alive = [f for f in firms if facts.day["active"][start, f]]
            ok = len(alive) >= 2
        keep.append(ok)
    kept = pd.DataFrame(rows)[np.array(keep, bool)].reset_index(drop=True)
    ends = pd.to_datetime(kept["to_on"]).clip(upper=pd.Timestamp(facts.days[-1]))
    return kept.assign(to_on=ends)


def _found(facts: Facts, planned, later, invoices, loans, guarantees, world: WorldData, rng) -> list[dict]:
    """Honest firms that look like liars by one check: returns, toll work, loans that pay old bills, plain circles."""
    years = len(facts.days) / 365.25
    count = episodes_wanted(int(facts.day["active"][0].sum()), years, LOOK_ALIKES_AT_STANDARD)
    liars = _firms(planned, later, False) | _firms(planned, later, True)
    first, last = facts.alive()
    span = np.stack([first, np.maximum(last, first)], axis=1)
    ever = (last > first).astype(float)
    red = invoices["red_of_id"].notna() & invoices["planted_id"].isna() & (invoices["seller_id"] < facts.firms)
    reds = np.bincount(invoices.loc[red, "seller_id"].astype(int), minlength=facts.firms).astype(float)
    out = after.found(facts, "fake_sales", np.where(reds >= 2, reds, np.nan), span, liars, count, rng)
    made = facts.day["output_units"].max(axis=0) > 0
    maker = (facts.firm["kind"] == "manufacturer").to_numpy() & made & ~facts.firm["has_equipment"].to_numpy(bool)
    toll = np.where(maker & (ever > 0), rng.random(facts.firms) + 1e-9, np.nan)
    out += after.found(facts, "invoice_ring", toll, span, liars, count, rng)
    honest = loans[~loans["firm_id"].isin(liars)]
    swift = _paid_at_once(world, honest)
    score = np.full(facts.firms, np.nan)
    score[swift.index.to_numpy(int)] = swift.to_numpy()
    out += after.found(facts, "diverted_loan", score, span, liars, count, rng)
    return out + _plain_circles(facts, world, guarantees, liars, count, rng)


def _paid_at_once(world: WorldData, loans: pd.DataFrame) -> pd.Series:
    """By firm: largest share of a loan that left to suppliers within three days of its drawdown."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = world.writer.read("payment", ["payer_id", "paid_at", "amount_fen", "purpose"])
    goods = gather.frame(table.filter(pc.equal(table["purpose"], pa.scalar("goods"))))
    goods = goods[goods["payer_id"].isin(loans["firm_id"].unique())]
    goods["day"] = goods["paid_at"].to_numpy("datetime64[D]")
    daily = goods.groupby(["payer_id", "day"])["amount_fen"].sum()
    best: dict[int, float] = {}
    grouped = dict(iter(daily.reset_index().groupby("payer_id")))
    for loan in loans.itertuples():
        rows = grouped.get(loan.firm_id)
        if rows is None or pd.notna(loan.renews_id):
            continue
        day = rows["day"].to_numpy()
        start = np.datetime64(loan.started_on, "D")
        spent = rows["amount_fen"].to_numpy()[(day >= start) & (day <= start + 3)].sum()
        share = spent / max(loan.principal_fen, 1)
        if share > 0.5:
            best[int(loan.firm_id)] = max(best.get(int(loan.firm_id), 0.0), float(share))
    return pd.Series(best, dtype=float)


def _plain_circles(facts: Facts, world: WorldData, guarantees, liars: set[int], count: int, rng) -> list[dict]:
    """Guarantee circles of unrelated neighbours: in no planted episode, with guarantees inside."""
    from sources.economy.planted.catalogue import KIND
    from sources.economy.planted.choose import rows

    circle = world.population.circle
    windows = []
    inner = guarantees[
        (circle[guarantees["guarantor_id"].astype(int)] == circle[guarantees["firm_id"].astype(int)])
        & (circle[guarantees["firm_id"].astype(int)] >= 0)
    ]
    for _, group in inner.groupby(circle[inner["firm_id"].astype(int)]):
        firms = np.union1d(group["guarantor_id"].astype(int), group["firm_id"].astype(int))
        if liars.isdisjoint(map(int, firms)) and len(group) >= 2 and len(windows) < count:
            start = int(facts.index(group["from_on"].min()))
            windows.append((firms, start, min(start + 365, len(facts.days) - 1)))
    return rows(KIND["guarantee_circle"], windows, facts.days[0], True, rng)
