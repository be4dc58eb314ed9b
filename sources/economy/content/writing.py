"""The order in which derived tables are written, and how frames become rows of the schema."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from sources.economy.content import (
    customs,
    gather,
    identity,
    land,
    law,
    machines,
    payroll,
    receipts,
    registry,
    security,
    statements,
    tax,
    utilities,
    visits,
    warehouse,
)
from sources.economy.content.facts import Facts, Lies
from sources.economy.interface import WorldData
from sources.economy.planted import applications, episodes
from sources.economy.schema import TABLES


def derive(world: WorldData, tell: Callable[[str, float], None] | None = None) -> None:
    """Writes every table that follows from the kernel's history; `tell(step, seconds)` hears how long each took."""
    clock = _Clock(tell)
    facts = gather.facts_of(world)
    invoices = gather.read(world, "invoice", gather.INVOICE_COLUMNS)
    invoices["taken_back"] = gather.reversed_whole(invoices)
    receipt_rows, facts.tables["planted_payment"] = gather.received(world)
    loans = gather.loans_of(world)
    facts.firm["good"] = gather.own_goods(facts, invoices)
    clock("read")
    unit_kwh = utilities.unit_energy(facts, facts.rng("unit_energy"))
    facts.machines = machines.equipment(facts, unit_kwh, facts.rng("equipment"))
    abroad = customs.traders(facts, invoices, facts.rng("traders"))
    owners = warehouse.storers(facts, facts.rng("storers"))
    facts.lies = Lies(episodes.settle(world, facts, invoices, loans, abroad, owners))
    facts.tables["fake_invoice"] = invoices[invoices["planted_id"].notna()]
    clock("planted")

    facts.tables["firm_change"] = registry.changes(facts, facts.rng("firm_change"))
    put(world, "firm_change", facts.tables["firm_change"])
    heads = payroll.heads(facts, facts.rng("heads"))
    put(world, "payroll_run", payroll.payroll_runs(facts, heads, facts.rng("payroll_run")))
    put(world, "social_insurance", payroll.social_insurance(facts, heads))
    put(world, "housing_fund", payroll.housing_fund(facts, heads, facts.rng("housing_fund")))
    put(world, "tax_return", tax.returns(facts, facts.rng("tax_return")))
    put(world, "pos_day", receipts.pos_day(facts, receipt_rows, facts.rng("pos_day")))
    clock("money and heads")
    put(world, "electricity", utilities.electricity(facts, unit_kwh, facts.rng("electricity")))
    put(world, "water", utilities.water(facts, facts.rng("water")))
    put(world, "gas", utilities.gas(facts, facts.rng("gas")))
    clock("utilities")
    put(world, "equipment", facts.machines)
    for part in machines.hours(facts, facts.machines, facts.rng("equipment_hour")):
        put(world, "equipment_hour", part)
    put(world, "production_day", machines.production(facts, facts.rng("production_day")))
    clock("machines")
    declared = customs.declarations(facts, abroad, gather.units_of(world, invoices), facts.rng("customs"))
    put(world, "customs_declaration", declared)
    found = law.environment(facts, facts.rng("environment"))
    put(world, "environment", found)
    put(world, "penalty", law.penalties(facts, found, facts.rng("penalty")))
    defaults = gather.defaults_of(world, loans)
    put(world, "court_case", law.court_cases(facts, invoices, defaults, facts.rng("court_case")))
    clock("customs and law")
    plots = land.plots(facts, facts.rng("land_plot"))
    put(world, "remote_sensing", land.remote_sensing(facts, plots, facts.rng("remote_sensing")))
    lots = warehouse.receipts(facts, owners, loans, facts.rng("warehouse_receipt"))
    put(world, "warehouse_receipt", lots)
    put(world, "warehouse_sensor", warehouse.sensors(facts, lots, facts.rng("warehouse_sensor")))
    sellers = np.unique(np.r_[loans.loc[loans["security"] == "receivable", "firm_id"], _pledgers(facts)]).astype(int)
    bills = security.pledgeable(facts, invoices, sellers)
    pledged = security.collateral(facts, loans, bills, plots, facts.machines, lots, facts.rng("collateral"))
    put(world, "collateral", pledged)
    put(world, "land_plot", land.mortgaged(plots, pledged))
    clock("land, goods and collateral")
    put(world, "branch_visit", visits.visits(facts, facts.machines, loans, facts.rng("branch_visit")))
    books = gather.yearly_books(facts)
    put(world, "statement", statements.statements(facts, books, facts.rng("statement")))
    put(world, "loan_application", applications.withdrawn(world, facts, facts.rng("applications")))
    held, truth = identity.subjects(
        facts.firm, facts.tables["firm_change"], gather.members(facts, declared, plots, loans), facts.rng("identity")
    )
    put(world, "department_subject", held)
    put(world, "identity_map", truth)
    put(world, "planted", facts.lies.planted)
    clock("visits, statements, identity")


def _pledgers(facts: Facts) -> np.ndarray:
    rows = facts.lies.of("double_financed_receivable", look_alike=None)
    return np.array([ids[0] for ids in rows["firm_ids"]], int)


def put(world: WorldData, name: str, frame: pd.DataFrame) -> None:
    """Writes the columns that the table has; −1 in `planted_id` means none, as do NaN and NaT."""
    if frame is None or frame.empty:
        return
    world.writer.write(name, arrow(name, frame))


def arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    """A frame in the table's column order and types."""
    schema = TABLES[name].schema
    columns = {}
    for item in schema:
        if item.name not in frame.columns:
            columns[item.name] = pa.nulls(len(frame), item.type)
            continue
        values = frame[item.name]
        if item.name == "planted_id" and TABLES[name].name != "planted":
            plain = values.dtype.kind == "i"
            numbers = values.to_numpy() if plain else pd.to_numeric(values).fillna(-1).to_numpy(np.int64)
            columns[item.name] = pa.array(numbers, pa.int32(), mask=numbers < 0)
        elif pa.types.is_date32(item.type):
            days = pd.to_datetime(values).to_numpy("datetime64[D]")
            columns[item.name] = pa.array(
                days.astype("datetime64[D]").view("int64").astype("i4"), mask=np.isnat(days)
            ).cast(pa.date32())
        elif pa.types.is_list(item.type) or pa.types.is_string(item.type):
            columns[item.name] = pa.array(list(values), item.type, from_pandas=True)
        elif pa.types.is_floating(item.type):
            numbers = values.to_numpy() if values.dtype.kind == "f" else values.to_numpy(np.float64)
            columns[item.name] = pa.array(numbers, from_pandas=True).cast(item.type)
        else:
            columns[item.name] = pa.Array.from_pandas(values).cast(item.type)
    return pa.table(columns, schema=schema)


class _Clock:
    def __init__(self, tell: Callable[[str, float], None] | None) -> None:
        self.tell, self.last = tell, time.perf_counter()

    def __call__(self, step: str) -> None:
        now = time.perf_counter()
        if self.tell:
            self.tell(step, now - self.last)
        self.last = now
