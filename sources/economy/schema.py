"""Every table of a generated world, defined once: the economy writes them, the systems and the grader read them.

A world is a folder: `world.json`, and one Parquet file or folder of parts per table. Columns marked `!` are truth:
no system may ever show them, only tests and the grader read them. Tables of system `truth` are hidden altogether.

Units: money is integer fen (`_fen`), shares are `_ratio`, quantities integer units of the good (`_units`), dates have
no zone and are Chinese local days, `_at` are local times (UTC+8) to the second. A party is a firm (`firm_id` from 0),
an outside firm (from `OUTSIDE`), or one of the sectors below zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

# Parties that are not firms of the economy.
HOUSEHOLDS, GOVERNMENT, REST_OF_WORLD, PRIVATE_LENDERS = -1, -2, -3, -4
FIRST_BANK = -100  # bank k is party FIRST_BANK - k
OUTSIDE = 10_000_000  # firms outside the economy, with a name and a code; their cash is the rest of the world's

TYPES = {
    "i8": pa.int8(),
    "i16": pa.int16(),
    "i32": pa.int32(),
    "i64": pa.int64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "date": pa.date32(),
    "time": pa.timestamp("s"),
    "ids": pa.list_(pa.int32()),
}


@dataclass(frozen=True)
class Table:
    """One table: `system` that would hold it (`truth`: none), grain and meaning, columns, key."""

    name: str
    system: str
    about: str
    schema: pa.Schema
    hidden: frozenset[str]
    key: tuple[str, ...]

    @property
    def visible(self) -> list[str]:
        """The columns a system may show, in order."""
        return [] if self.system == "truth" else [c for c in self.schema.names if c not in self.hidden]


TABLES: dict[str, Table] = {}


def table(name: str, system: str, key: str, about: str, columns: str) -> None:
    """Defines a table; `columns` are `name type` pairs parted by commas, `!` after the type hides one."""
    fields, hidden = [], set()
    for part in columns.replace("\n", " ").split(","):
        column, kind = part.split()
        if kind.endswith("!"):
            hidden.add(column)
        fields.append(pa.field(column, TYPES[kind.rstrip("!")]))
    TABLES[name] = Table(name, system, about, pa.schema(fields), frozenset(hidden), tuple(key.split()))


# Who there is

table(
    "firm",
    "registry",
    "firm_id",
    "One row a firm, as registered when founded.",
    """
    firm_id i32, uscc str, tax_number str, registration_number str, name str, industry_code str, division str,
    region_code str, address str, phone str, legal_person_id i32, capital_fen i64, founded_on date, closed_on date,
    kind str, taxpayer str, in_region bool, accounting str, chain str, tier i8, core_id i32, platform_id i32,
    has_equipment bool, on_platform bool, has_bureau_record bool,
    skill f32!, honesty f32!, prudence f32!, patience f32!, size_class str""",
)
table(
    "person",
    "registry",
    "person_id",
    "Owners, legal persons; invented names and numbers.",
    """
    person_id i32, name str, id_number str, phone str, device_id str, address str""",
)
table(
    "firm_change",
    "registry",
    "change_id",
    "Renames, moves, new legal persons, mergers, splits, branches.",
    """
    change_id i64, firm_id i32, changed_on date, kind str, old_value str, new_value str, other_firm_id i32""",
)
table(
    "department_subject",
    "registry",
    "system department key from_on",
    "Whom each department and platform knows under which key: name, code and address as held there, with their faults.",
    """
    system str, department str, key str, name str, uscc str, registration_number str, address str, phone str,
    from_on date, to_on date, firm_id i32!""",
)
table(
    "ownership",
    "registry",
    "owner_id firm_id from_on",
    "Shares held in firms; one of the owner columns is set.",
    """
    owner_id i32, owner_is_firm bool, firm_id i32, share_ratio f64, from_on date, to_on date""",
)
table(
    "outside_party",
    "registry",
    "party_id",
    "Firms outside the economy that trade with it.",
    """
    party_id i32, uscc str, name str, region_code str, industry_code str""",
)

# What they do: the kernel's record of every day

table(
    "firm_day",
    "truth",
    "day firm_id",
    "One row an active firm and day, at the day's end; flows are the day's.",
    """
    day date, firm_id i32, output_units i32, utilisation_ratio f32, staff i32, raw_units i32, wip_units i32,
    finished_units i32, sales_fen i64, purchases_fen i64, cash_fen i64, receivable_fen i64, payable_fen i64,
    bank_debt_fen i64, private_debt_fen i64, arrears_fen i64, orders_open_units i32, days_past_due i16,
    constrained bool""",
)
table(
    "sector_day",
    "truth",
    "day party_id",
    "Cash of every party that is not a firm, at the day's end.",
    """
    day date, party_id i32, cash_fen i64""",
)
table(
    "trade_link",
    "truth",
    "link_id",
    "Who supplies whom, of what share of the buyer's need; ends are real ends.",
    """
    link_id i64, seller_id i32, buyer_id i32, good str, share_ratio f32, terms_days i16, from_on date, to_on date""",
)

# Trade, on the industrial platform where a party is `on_platform`, else in the firms' own books

table(
    "trade_order",
    "platform",
    "order_id",
    "One row an order.",
    """
    order_id i64, buyer_id i32, seller_id i32, good str, quantity_units i32, unit_price_fen i64, amount_fen i64,
    ordered_on date, due_on date, cancelled_on date, planted_id i32!""",
)
table(
    "delivery",
    "platform",
    "delivery_id",
    "One row a shipment of an order; returns have negative units.",
    """
    delivery_id i64, order_id i64, seller_id i32, buyer_id i32, good str, quantity_units i32, shipped_on date,
    received_on date, carrier_id i32, planted_id i32!""",
)
table(
    "invoice",
    "tax",
    "invoice_id",
    "VAT invoices; a red letter has negative amounts and names what it corrects.",
    """
    invoice_id i64, invoice_number str, seller_id i32, buyer_id i32, good str, issued_on date, amount_fen i64,
    tax_fen i64, total_fen i64, voided_on date, red_of_id i64, order_id i64, delivery_id i64,
    due_on date!, settled_on date!, planted_id i32!""",
)

# Money: every movement between two parties; cash is conserved over these rows alone

table(
    "payment",
    "payments",
    "payment_id",
    "One row a transfer, receipt or run; a reversal is its own row.",
    """
    payment_id i64, payer_id i32, payee_id i32, paid_at time, amount_fen i64, channel str, purpose str,
    invoice_id i64, loan_id i64, reverses_id i64, planted_id i32!""",
)
table(
    "pos_day",
    "payments",
    "firm_id day terminal",
    "Card and QR receipts of a merchant's terminal and day.",
    """
    firm_id i32, day date, terminal str, receipts i32, payers i32, amount_fen i64, top_payer_ratio f32,
    night_ratio f32, fee_fen i64, planted_id i32!""",
)
table(
    "payroll_run",
    "payments",
    "run_id",
    "A wage run paid through the bank.",
    """
    run_id i64, firm_id i32, period date, paid_on date, headcount i32, amount_fen i64, planted_id i32!""",
)

# Production and goods on the industrial platform

table(
    "equipment",
    "platform",
    "equipment_id",
    "Machines of equipped firms.",
    """
    equipment_id i32, firm_id i32, kind str, maker str, installed_on date, rated_kw f32, rated_units_hour f32,
    leased bool, planted_id i32!""",
)
table(
    "equipment_hour",
    "platform",
    "equipment_id hour_at",
    "Telemetry of connected machines, by the hour.",
    """
    equipment_id i32, hour_at time, running_minutes i8, output_units i32, energy_kwh f32, temperature_c f32,
    vibration_mm_s f32, alarm_code i8, planted_id i32!""",
)
table(
    "production_day",
    "platform",
    "firm_id day",
    "Production and stock that a connected firm reports.",
    """
    firm_id i32, day date, good str, output_units i32, defect_units i32, wip_units i32, finished_units i32,
    raw_units i32, line_utilisation_ratio f32, planted_id i32!""",
)
table(
    "warehouse_receipt",
    "platform",
    "receipt_id",
    "Receipts that warehouse operators write for stored goods.",
    """
    receipt_id i64, warehouse_id i32, owner_id i32, good str, quantity_units i32, issued_on date, released_on date,
    pledged_to_id i32, lot_code str, true_units i32!, planted_id i32!""",
)
table(
    "warehouse_sensor",
    "platform",
    "receipt_id day sensor",
    "Daily reading of a sensor on a stored lot.",
    """
    receipt_id i64, day date, sensor str, reading f32, door_openings i16, planted_id i32!""",
)

# What departments of the government hold

table(
    "tax_return",
    "tax",
    "firm_id period",
    "Monthly VAT return; small taxpayers file quarterly.",
    """
    firm_id i32, period date, declared_sales_fen i64, output_tax_fen i64, input_tax_fen i64, payable_fen i64,
    paid_fen i64, filed_on date, paid_on date, true_sales_fen i64!, planted_id i32!""",
)
table(
    "social_insurance",
    "social",
    "firm_id period",
    "Monthly contribution: insured heads, base, due and paid.",
    """
    firm_id i32, period date, insured i32, base_fen i64, due_fen i64, paid_fen i64, paid_on date, planted_id i32!""",
)
table(
    "housing_fund",
    "housing_fund",
    "firm_id period",
    "Monthly housing fund contribution.",
    """
    firm_id i32, period date, members i32, due_fen i64, paid_fen i64, paid_on date""",
)
table(
    "customs_declaration",
    "customs",
    "declaration_id",
    "Imports and exports.",
    """
    declaration_id i64, firm_id i32, declared_on date, direction str, hs_code str, good str, quantity_units i32,
    amount_fen i64, country str, bill_of_lading str, planted_id i32!""",
)
table(
    "penalty",
    "penalties",
    "penalty_id",
    "Administrative penalties.",
    """
    penalty_id i64, firm_id i32, department str, decided_on date, kind str, amount_fen i64, published_on date""",
)
table(
    "court_case",
    "courts",
    "case_id",
    "Civil cases; enforcement follows a lost one that stays unpaid.",
    """
    case_id i64, case_number str, plaintiff_id i32, defendant_id i32, kind str, filed_on date, amount_fen i64,
    judged_on date, enforced_on date, closed_on date""",
)
table(
    "electricity",
    "electricity",
    "firm_id day",
    "Daily metered energy and its cost.",
    """
    firm_id i32, day date, energy_kwh f32, peak_ratio f32, fee_fen i64, planted_id i32!""",
)
table(
    "water",
    "water",
    "firm_id period",
    "Monthly water.",
    """
    firm_id i32, period date, volume_m3 f32, fee_fen i64, paid_on date""",
)
table(
    "gas",
    "gas",
    "firm_id period",
    "Monthly gas.",
    """
    firm_id i32, period date, volume_m3 f32, fee_fen i64, paid_on date""",
)
table(
    "environment",
    "environment",
    "record_id",
    "Permits, discharge readings and findings.",
    """
    record_id i64, firm_id i32, day date, kind str, pollutant str, discharge_kg f32, limit_kg f32, finding str""",
)
table(
    "land_plot",
    "land",
    "plot_id",
    "Land and farm plots: rights, claimed crop and area by year.",
    """
    plot_id i32, firm_id i32, year i16, use str, crop str, claimed_area_mu f32, registered_area_mu f32,
    mortgaged_on date, latitude f64, longitude f64, true_area_mu f32!, planted_id i32!""",
)

# Banks and the bureau

table(
    "loan_application",
    "core_bank",
    "application_id",
    "Applications at every bank.",
    """
    application_id i64, firm_id i32, bank_id i32, product str, applied_on date, amount_fen i64, decided_on date,
    decision str, reason str, purpose str, device_id str, contact_phone str""",
)
table(
    "loan",
    "core_bank",
    "loan_id",
    "Loans at every bank; renewals name the loan they pay off.",
    """
    loan_id i64, application_id i64, firm_id i32, bank_id i32, product str, principal_fen i64, rate_ratio f64,
    started_on date, matures_on date, repayment str, security str, renews_id i64, closed_on date, status str,
    diverted_ratio f32!, planted_id i32!""",
)
table(
    "loan_schedule",
    "core_bank",
    "loan_id number",
    "What falls due when.",
    """
    loan_id i64, number i16, due_on date, principal_fen i64, interest_fen i64""",
)
table(
    "loan_repayment",
    "core_bank",
    "repayment_id",
    "What was paid when, against which instalment.",
    """
    repayment_id i64, loan_id i64, number i16, paid_on date, principal_fen i64, interest_fen i64""",
)
table(
    "loan_status",
    "core_bank",
    "loan_id month",
    "At a month's end: balance, days past due, five-category class.",
    """
    loan_id i64, month date, balance_fen i64, days_past_due i16, class str""",
)
table(
    "collateral",
    "core_bank",
    "collateral_id",
    "Security of a loan; `object`: plot, receipt, machine, invoice.",
    """
    collateral_id i64, loan_id i64, kind str, object str, value_fen i64, from_on date, to_on date, planted_id i32!""",
)
table(
    "guarantee",
    "core_bank",
    "guarantee_id",
    "Who stands in for whose loan; called and paid when it fails.",
    """
    guarantee_id i64, guarantor_id i32, firm_id i32, loan_id i64, amount_fen i64, from_on date, to_on date,
    called_on date, paid_fen i64, contact_phone str, planted_id i32!""",
)
table(
    "bureau_enquiry",
    "bureau",
    "enquiry_id",
    "Enquiries that lenders made on a subject.",
    """
    enquiry_id i64, firm_id i32, bank_id i32, enquired_on date, purpose str""",
)

# Field evidence and markets

table(
    "branch_visit",
    "field",
    "visit_id",
    "A client manager's visit.",
    """
    visit_id i64, firm_id i32, visited_on date, manager str, confidence str, staff_seen i32, stock_seen_units i32,
    machines_running i32, machines_seen i32, note str""",
)
table(
    "statement",
    "field",
    "firm_id year",
    "Annual statement as handed in, some 120 days after the year.",
    """
    firm_id i32, year i16, handed_in_on date, revenue_fen i64, cost_fen i64, profit_fen i64, cash_fen i64,
    receivable_fen i64, stock_fen i64, fixed_assets_fen i64, payable_fen i64, bank_debt_fen i64, other_debt_fen i64,
    equity_fen i64, audited bool, true_revenue_fen i64!, true_profit_fen i64!, planted_id i32!""",
)
table(
    "remote_sensing",
    "field",
    "plot_id observed_on",
    "Field statistics from satellites.",
    """
    plot_id i32, observed_on date, sensed_area_mu f32, vegetation_index f32, cloud_ratio f32, crop_guess str""",
)
table(
    "commodity_price",
    "market",
    "good day",
    "Daily prices; gap days have none.",
    """
    good str, day date, price_fen i64, published_at time, stale bool""",
)

# Truth

table(
    "default_event",
    "truth",
    "firm_id",
    "The first day a firm was 90 days past due at any bank, and why.",
    """
    firm_id i32, loan_id i64, first_unpaid_on date, past_due_30_on date, past_due_90_on date, exposure_fen i64,
    cause str, contagion_from_id i32""",
)
table(
    "planted",
    "truth",
    "planted_id",
    "Planted behaviour and honest look-alikes.",
    """
    planted_id i32, kind str, look_alike bool, firm_ids ids, from_on date, to_on date, knows_rule bool,
    victim str, checks str""",
)
table(
    "identity_map",
    "truth",
    "system department key",
    "Which key of which department is which firm.",
    """
    system str, department str, key str, firm_id i32, from_on date, to_on date""",
)
table(
    "calendar_day",
    "truth",
    "day",
    "Macro state and rule days.",
    """
    day date, workday bool, new_year_offset i16, demand f32, credit f32, rate_ratio f32, vat_ratio f32,
    rule str, lockdown_region str""",
)
