"""Source features by plain Python over rows: from the definitions alone, without SQL and without the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
Rows = list[dict[str, Any]]
KEYS = {
    "department_subject": ("department", "department_key"), "enterprise": ("enterprise_id",), "loan": ("loan_id",),
    "equipment_reading": ("event_id", "read_at"), "tax_return": ("taxpayer_id", "period_start"),
    "social_insurance_contribution": ("employer_number", "period_start"), "payroll_run": ("run_number",),
    "housing_fund_deposit": ("employer_account", "period_start"), "customs_declaration": ("record_id",),
    "penalty_decision": ("record_id",), "court_case": ("case_number",), "environment_record": ("record_id",),
    "electricity_daily_usage": ("account_number", "used_on"), "water_bill": ("account_number", "period_start"),
    "account_day": ("account_number", "day"), "payment_account": ("account_number",),
    "pos_day": ("terminal_number", "day"), "bureau_report": ("enquiry_id",), "bank_loan": ("loan_number",),
    "bank_repayment": ("repayment_number",), "platform_machine": ("machine_id",),
    "platform_production_day": ("event_id",), "platform_order": ("order_number",),
    "platform_warehouse_receipt": ("receipt_number",), "platform_waybill": ("waybill_number",),
    "bank_guarantee": ("guarantee_number",), "shareholder": ("enterprise_key", "owner_code", "held_from"),
    "registry_change": ("record_id",), "financial_statement": ("uscc", "fiscal_year"),
}  # fmt: skip


class Oracle:
    """What one firm's rows were at one date; `months` counts full months back, 1 the last full one."""

    def __init__(self, world: dict[str, Rows], as_of: date) -> None:
        self.world, self.as_of, self.moment = world, as_of, datetime.combine(as_of, time(), ZONE)
        self._known: dict[str, Rows] = {}
        self.parties = self._parties()

    def known(self, table: str) -> Rows:
        """Of each record the highest version known by 00:00 of the date."""
        if table not in self._known:
            newest: dict[tuple, dict] = {}
            for row in self.world[f"silver.{table}"]:
                key = tuple(row[k] for k in KEYS[table])
                if (
                    row["known_at"] <= self.moment
                    and row["version_no"] > newest.get(key, {"version_no": 0})["version_no"]
                ):
                    newest[key] = row
            self._known[table] = list(newest.values())
        return self._known[table]

    def _parties(self) -> dict[tuple[str, str], str]:
        holders: dict[str, set[str]] = {}
        for row in self.world["silver.registered_enterprise"]:
            if row["known_at"] <= self.moment:
                for code in (row["uscc"], row["registration_number"]):
                    holders.setdefault(code, set()).add(row["uscc"])
        firm_of = {code: next(iter(firms)) for code, firms in holders.items() if len(firms) == 1}
        self.firm_of_code = firm_of
        said = self.known("department_subject")
        return {(r["department"], r["department_key"]): firm_of[r["code"]] for r in said if r["code"] in firm_of}

    def rows(self, table: str, firm: str, day: str | None, department: str, key: str, via: str = "") -> Rows:
        """A firm's rows that happened before the date, each with `month`."""
        link = {r[LINK[via]]: r for r in self.known(via)} if via else {}
        found = []
        for row in self.known(table):
            holder = link.get(row[LINK[via]]) if via else row
            number = holder[key] if holder else None
            owner = self.firm_of_code.get(number) if department == "code" else self.parties.get((department, number))
            if (number if department == "enterprise" else owner) != firm:
                continue
            happened = _day_of(row[day]) if day else None
            if happened is not None and happened >= self.as_of:
                continue
            found.append(row | {"month": _months(happened, self.as_of) if happened else None})
        return found


LINK = {"bank_loan": "loan_number", "platform_machine": "machine_id"}


def _day_of(value: Any) -> date:
    return value.astimezone(ZONE).date() if isinstance(value, datetime) else value


def _months(day: date, as_of: date) -> int:
    return (as_of.year - day.year) * 12 + as_of.month - day.month


def total(rows: Iterable[dict], value: Callable[[dict], Any], last: int, first: int = 1) -> float:
    """Σ over months first..last, exact until it is made a float."""
    return sum((value(r) or 0 for r in rows if first <= r["month"] <= last), 0)


def by_month(rows: Iterable[dict], *values: str) -> dict[int, list]:
    """Sums of columns by month."""
    found: dict[int, list] = {}
    for row in rows:
        sums = found.setdefault(row["month"], [0] * len(values))
        for place, name in enumerate(values):
            sums[place] += row[name] or 0
    return found


def ratio(part: Any, whole: Any) -> float | None:
    """NULL where the divisor is not positive."""
    return float(part) / float(whole) if whole and whole > 0 else None


def change(new: Any, old: Any) -> float | None:
    """(x − y) / (|x| + |y|)."""
    return float(new - old) / float(abs(new) + abs(old)) if new or old else None


def open_at(end: date | None, as_of: date) -> bool:
    return end is None or end >= as_of


def features(oracle: Oracle, firm: str, sales: float) -> dict[str, Any]:
    """Some features of every family, at the oracle's date."""
    D, get = oracle.as_of, oracle.rows
    tax = get("tax_return", firm, "period_start", "tax_returns", "taxpayer_id")
    declared = by_month(tax, "declared_sales_cny")
    insured = get("social_insurance_contribution", firm, "period_start", "social_insurance", "employer_number")
    due = by_month(insured, "paid_cny", "due_cny")
    customs = get("customs_declaration", firm, "declared_on", "customs", "customs_code")
    penalties = get("penalty_decision", firm, "decided_on", "penalties", "party_number")
    cases = get("court_case", firm, "filed_on", "code", "defendant_code")
    power = get("electricity_daily_usage", firm, "used_on", "electricity", "account_number")
    water = get("water_bill", firm, "period_start", "water", "account_number")
    days = get("account_day", firm, "day", "payments", "account_number")
    accounts = get("payment_account", firm, None, "payments", "account_number")
    pos = get("pos_day", firm, "day", "payments", "account_number")
    reports = get("bureau_report", firm, "produced_on", "code", "uscc")
    newest = max(reports, key=lambda r: (r["produced_on"], r["enquiry_id"]), default=None)
    loans = get("loan", firm, "drawn_on", "enterprise", "enterprise_id")
    still = [r for r in loans if open_at(r["closed_on"], D)]
    repaid = get("bank_repayment", firm, "paid_on", "core_bank", "customer_number", "bank_loan")
    readings = get("equipment_reading", firm, "read_at", "platform", "member_id", "platform_machine")
    made = get("platform_production_day", firm, "event_at", "platform", "member_id")
    year = [r for r in made if 1 <= r["month"] <= 12]
    orders = get("platform_order", firm, "event_at", "platform", "seller_member_id")
    placed = [r for r in orders if r["event_type"] == "order_placed"]
    receipts = get("platform_warehouse_receipt", firm, "event_at", "platform", "owner_member_id")
    sent = get("platform_waybill", firm, "event_at", "platform", "sender_member_id")
    given = get("bank_guarantee", firm, "signed_on", "core_bank", "guarantor_customer_number")
    owners = get("shareholder", firm, "held_from", "business_registry", "enterprise_key")
    changes = get("registry_change", firm, "changed_on", "business_registry", "enterprise_key")
    balance = total(days, lambda r: r["credit_cny"] - r["debit_cny"], 10**6, 0)
    shares = [r["share_percent"] for r in owners if open_at(r["held_until"], D) and r["share_percent"] is not None]
    history = max(declared, default=-1)
    declared_12m = total(tax, lambda r: r["declared_sales_cny"], 12)
    return {
        "registry_change_24m_count": total(changes, lambda r: 1, 24),
        "tax_declared_sales_12m_cny": declared_12m,
        "tax_zero_declaration_12m_months": sum(1 for m, (x,) in declared.items() if 1 <= m <= 12 and x == 0),
        "tax_arrears_cny": sum(r["payable_tax_cny"] - r["paid_tax_cny"] for r in tax if r["paid_on"] is None),
        "tax_declared_growth_12m_ratio": change(
            declared_12m, total(tax, lambda r: r["declared_sales_cny"], 24, 13)
        ) if history >= 24 else None,
        "tax_declared_to_invoiced_12m_ratio": ratio(declared_12m, sales),
        "social_insurance_arrears_12m_months": sum(1 for m, (p, d) in due.items() if 1 <= m <= 12 and p < d),
        "insured_wage_base_12m_cny": total(insured, lambda r: r["base_cny"], 12),
        "export_value_12m_cny": total(customs, lambda r: r["amount_cny"] if r["direction"] == "export" else 0, 12),
        "customs_country_12m_count": len({r["country"] for r in customs if 1 <= r["month"] <= 12}),
        "penalty_fine_24m_cny": total(penalties, lambda r: r["fine_cny"], 24),
        "defendant_case_24m_count": total(cases, lambda r: 1, 24),
        "defendant_open_case_count": sum(open_at(r["closed_on"], D) for r in cases),
        "electricity_12m_kwh": total(power, lambda r: r["energy_kwh"], 12),
        "water_unpaid_12m_count": total(water, lambda r: r["paid_on"] is None, 12),
        "account_inflow_12m_cny": total(days, lambda r: r["credit_cny"], 12),
        "account_active_12m_count": len({r["day"] for r in days if 1 <= r["month"] <= 12}),
        "account_balance_cny": sum(r["carried_balance_cny"] for r in accounts) + balance,
        "pos_amount_12m_cny": total(pos, lambda r: r["amount_cny"], 12) if pos else None,
        "pos_active_3m_count": len({r["day"] for r in pos if 1 <= r["month"] <= 3}) if pos else None,
        "bureau_lender_count": newest["lenders"] if newest else None,
        "since_bureau_report_days": (D - newest["produced_on"]).days if newest else None,
        "loan_open_principal_cny": sum(r["principal_cny"] for r in still),
        "loan_due_90d_ratio": ratio(
            sum(r["principal_cny"] for r in still if 0 <= (r["due_on"] - D).days <= 90),
            sum(r["principal_cny"] for r in still),
        ),
        "loan_repaid_12m_cny": total(repaid, lambda r: r["principal_cny"], 12),
        "equipment_running_12m_hours": total(readings, lambda r: r["running_minutes"], 12) / 60 if readings else None,
        "equipment_told_3m_count": (
            len({r["machine_id"] for r in readings if 1 <= r["month"] <= 3}) if readings else None
        ),
        "production_output_12m_count": total(made, lambda r: r["output_units"], 12) if made else None,
        "production_defect_12m_ratio": ratio(
            sum(r["defect_units"] for r in year), sum(r["output_units"] for r in year)
        ),
        "sale_order_12m_cny": total(placed, lambda r: r["amount_cny"], 12),
        "order_buyer_12m_count": len({r["buyer_member_id"] for r in orders if 1 <= r["month"] <= 12}),
        "sale_order_cancelled_12m_ratio": ratio(
            total(orders, lambda r: 1, 12) - total(placed, lambda r: 1, 12), total(orders, lambda r: 1, 12)
        ),
        "warehouse_receipt_open_count": sum(r["event_type"] == "receipt_issued" for r in receipts),
        "shipment_12m_count": total(sent, lambda r: 1, 12),
        "shipped_unit_12m_count": total(sent, lambda r: max(r["quantity_units"], 0), 12),
        "guarantee_given_cny": sum(r["amount_cny"] for r in given if open_at(r["ended_on"], D)),
        "owner_top1_ratio": float(max(shares)) / 100 if shares else None,
        "owner_change_24m_count": total(owners, lambda r: 1, 24),
    }  # fmt: skip


# The department in whose list a firm must stand for a source's features to be there.
COVERED = {
    "tax_return_coverage": "tax_returns", "social_insurance_coverage": "social_insurance",
    "customs_coverage": "customs",
    "electricity_coverage": "electricity", "water_coverage": "water", "account_day_coverage": "payments",
    "sale_order_coverage": "platform", "shipment_coverage": "platform", "guarantee_given_coverage": "core_bank",
    "ownership_coverage": "business_registry", "registry_change_coverage": "business_registry",
    "repayment_coverage": "core_bank", "warehouse_receipt_coverage": "platform", "account_coverage": "payments",
}  # fmt: skip
