"""From the kernel's record to the facts that the writers read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.economy.content.facts import Facts, Lies
from sources.economy.interface import WorldData

INVOICE_COLUMNS = [
    "invoice_id", "invoice_number", "seller_id", "buyer_id", "good", "issued_on", "amount_fen", "tax_fen", "total_fen",
    "voided_on", "red_of_id", "delivery_id", "due_on", "settled_on", "planted_id",
]  # fmt: skip


def read(world: WorldData, name: str, columns: list[str] | None = None) -> pd.DataFrame:
    """A table written so far, whole numbers with gaps as Int64, dates as datetime64[s]; empty if there is none."""
    from sources.economy.schema import TABLES

    if name not in world.writer.rows:
        return TABLES[name].schema.empty_table().select(columns or TABLES[name].schema.names).to_pandas()
    return frame(world.writer.read(name, columns))


def frame(table: pa.Table) -> pd.DataFrame:
    """A frame with dates as datetime64[s] and integers that may be missing as −1-filled int64."""
    out = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_date32(kind):
            out[name] = column.cast(pa.timestamp("s")).to_numpy()
        elif pa.types.is_timestamp(kind):
            out[name] = column.to_numpy()
        elif pa.types.is_integer(kind) and column.null_count:
            values = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
            out[name] = pd.array(values, dtype="Int64")
            out[name][pc.is_null(column).to_numpy()] = pd.NA
        elif pa.types.is_integer(kind):
            out[name] = column.cast(pa.int64()).to_numpy()
        else:
            out[name] = column.to_pandas().to_numpy()
    return pd.DataFrame(out)


def facts_of(world: WorldData) -> Facts:
    """Facts without lies yet."""
    population = world.population
    firm = population.tables["firm"].to_pandas()
    firm["founded_on"] = pd.to_datetime(firm["founded_on"]).astype("datetime64[s]")
    people = population.tables["person"].to_pandas().set_index("person_id")["name"]
    firm["owner_name"] = people.reindex(firm["legal_person_id"]).to_numpy()
    firm["wage_fen"], firm["price_fen"] = population.wage, population.price
    firm["defaulted"] = world.default_day < world.days
    day = {name: np.asarray(world.daily[name]) for name in world.daily}
    day["utilisation_ratio"] = day.pop("utilisation").astype(np.float32)
    day["active"] = day["active"].astype(bool)
    facts = Facts(
        seed=population.seed,
        days=world.first_day + np.arange(world.days),
        firm=firm,
        day=day,
        month={name: np.asarray(world.monthly[name]) for name in world.monthly},
        lies=Lies(pd.DataFrame()),
        workday=world.calendar.world("workday"),
        shaves=world.plan.shaved,
    )
    # A maker is a firm with output of its own; traders' output column may count what they pass through.
    maker = firm["kind"].isin(["core", "manufacturer", "farm"]).to_numpy()
    day["output_units"] = np.where(maker, day["output_units"], 0)
    return facts


def reversed_whole(invoices: pd.DataFrame) -> np.ndarray:
    """Marks invoices that a red letter of the whole amount took back: written wrongly, or never sold."""
    red = invoices[invoices["red_of_id"].notna()]
    back = red.groupby(red["red_of_id"].astype("int64"))["total_fen"].sum()
    taken = back.reindex(invoices["invoice_id"]).fillna(0).to_numpy()
    return (taken < 0) & (taken <= -invoices["total_fen"].to_numpy())


def units_of(world: WorldData, invoices: pd.DataFrame) -> pd.Series:
    """Delivered units by invoice_id, where a delivery is named."""
    delivery = read(world, "delivery", ["delivery_id", "quantity_units"]).set_index("delivery_id")["quantity_units"]
    named = invoices[invoices["delivery_id"].notna()]
    return pd.Series(
        delivery.reindex(named["delivery_id"].astype("int64")).to_numpy(), index=named["invoice_id"].to_numpy()
    ).dropna()


def loans_of(world: WorldData) -> pd.DataFrame:
    """Loans with `ends_on`: the day closed, else the due day."""
    loans = read(world, "loan")
    loans["started_on"] = loans["started_on"].to_numpy("datetime64[D]").astype("datetime64[s]")
    loans["ends_on"] = loans["closed_on"].fillna(loans["matures_on"])
    return loans.sort_values("loan_id", ignore_index=True)


def received(world: WorldData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(receipts by terminal: payee, day, channel, planted_id, amount; planted payments of all kinds)."""
    names = ["payment_id", "payer_id", "payee_id", "paid_at", "amount_fen", "channel", "purpose", "planted_id"]
    table = world.writer.read("payment", names)
    pos = table.filter(pc.is_in(table["channel"], pa.array(["pos", "qr"])))
    planted = frame(table.filter(pc.is_valid(table["planted_id"])))
    planted["planted_id"] = planted["planted_id"].astype("int64")
    pos = frame(pos)
    pos["planted_id"] = pos["planted_id"].fillna(-1).astype("int64")
    pos["day"] = pos["paid_at"].to_numpy("datetime64[D]").astype("datetime64[s]")
    pos = pos[pos["payee_id"] >= 0]
    keys = ["payee_id", "day", "channel", "planted_id"]
    return pos.groupby(keys, as_index=False)["amount_fen"].sum(), planted


def own_goods(facts: Facts, invoices: pd.DataFrame) -> np.ndarray:
    """What each firm sells most often; None for one that never sold."""
    mine = (invoices["seller_id"].to_numpy() < facts.firms) & invoices["planted_id"].isna().to_numpy()
    counts = invoices.loc[mine].groupby(["seller_id", "good"]).size().reset_index(name="rows")
    best = counts.sort_values(["seller_id", "rows", "good"]).drop_duplicates("seller_id", keep="last")
    return best.set_index("seller_id")["good"].reindex(np.arange(facts.firms)).to_numpy(object)


def defaults_of(world: WorldData, loans: pd.DataFrame) -> pd.DataFrame:
    """Default events with the bank of the loan."""
    events = read(world, "default_event")
    events["bank_id"] = loans.set_index("loan_id")["bank_id"].reindex(events["loan_id"].astype("Int64")).to_numpy()
    return events


def yearly_books(facts: Facts) -> dict[str, np.ndarray]:
    """Year's revenue and cost, and year-end balances, (years × firms) fen; see `statements.statements`."""
    month, day = facts.month, facts.day
    year = facts.months.astype("datetime64[Y]")
    starts = np.flatnonzero(np.r_[True, year[1:] != year[:-1]])
    ends = np.r_[starts[1:], len(year)] - 1
    total = {n: np.add.reduceat(month[n].astype(np.int64), starts, axis=0) for n in (
        "sales_fen", "cost_fen", "wage_due_fen", "social_due_fen", "interest_fen", "overhead_fen", "bad_debt_fen",
    )}  # fmt: skip
    close = facts.month_end[ends]
    fake = facts.tables["fake_invoice"]
    papers = facts.by_month(fake["seller_id"].to_numpy(), fake["issued_on"].to_numpy(), fake["amount_fen"].to_numpy())
    revenue = total["sales_fen"]
    spent = ("cost_fen", "wage_due_fen", "social_due_fen", "interest_fen", "overhead_fen", "bad_debt_fen")
    fixed = 0.22 * facts.firm["capital_fen"].to_numpy(np.int64) + facts.day["staff"].max(axis=0) * 4_000_000
    age = np.arange(len(starts))[:, None]
    owed = month["wage_arrears_fen"] + month["tax_arrears_fen"] + month["social_arrears_fen"]
    return {
        "revenue": revenue,
        "papers": np.maximum(np.add.reduceat(papers, starts, axis=0), 0),
        "cost": sum(total[name] for name in spent),
        "cash": day["cash_fen"][close],
        "receivable": day["receivable_fen"][close],
        "stock": month["stock_fen"][ends],
        "fixed_assets": fixed[None, :] * 0.92**age,
        "payable": day["payable_fen"][close],
        "bank_debt": day["bank_debt_fen"][close],
        "other_debt": day["private_debt_fen"][close] + owed[ends],
    }


def members(facts: Facts, declared: pd.DataFrame, plots: pd.DataFrame, loans: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which firms each department knows at all; a department not named knows every firm of the region."""
    firms = facts.firms
    inside = facts.firm["in_region"].to_numpy(bool)
    lived = facts.day["active"].any(axis=0)

    def known(ids) -> np.ndarray:
        out = np.zeros(firms, bool)
        out[np.asarray(ids, int)] = True
        return out

    from sources.economy.content import identity, utilities

    base = {d.name: inside & lived for d in identity.DEPARTMENTS}
    base["payments"] = base["platform"] = base["bureau"] = base["core_bank"] = base["field"] = lived
    base["customs"] = known(declared["firm_id"].unique()) if len(declared) else np.zeros(firms, bool)
    base["land"] = known(plots["firm_id"].unique()) if len(plots) else np.zeros(firms, bool)
    base["platform"] = lived & facts.firm["on_platform"].to_numpy(bool)
    base["gas"] = inside & lived & facts.firm["division"].isin(utilities.GAS_SHARE).to_numpy()
    base["tax_returns"] = inside & lived & (facts.firm["taxpayer"] != "exempt").to_numpy()
    return base
