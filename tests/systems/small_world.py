"""A small world for fast tests: every table of the schema, random but consistent ids, no economics.

Firm, planted and person numbers are large and odd on purpose, so that a test can look for them in any answer.
Hidden columns hold values that appear nowhere else.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sources.economy.schema import FIRST_BANK, OUTSIDE, TABLES

FIRST_FIRM, FIRST_PERSON, FIRST_PLANTED = 7_310_017, 5_520_011, 666_001
FIRST_RECORD = 88_000_000_001
TRUE_FEN, TRUE_F32 = 987_650_000_123, 98765.4375
GOODS = ("steel", "cement", "cotton_yarn", "flour", "car_part")
Rows = list[dict]


def write_small_world(
    folder: Path, firms: int = 24, first_day: date = date(2019, 1, 1), days: int = 760, seed: int = 7
) -> Path:
    """Writes `world.json` and every table; the same arguments give the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(np.random.default_rng(seed), firms, first_day, days)
    for name, definition in TABLES.items():
        rows = getattr(maker, name, list)()
        table = pa.Table.from_pylist([_hide(row, name, number) for number, row in enumerate(rows)], definition.schema)
        pq.write_table(table, folder / f"{name}.parquet")
    last_day = first_day + timedelta(days=days - 1)
    note = {"seed": seed, "firms": firms, "first_day": str(first_day), "last_day": str(last_day)}
    (folder / "world.json").write_text(json.dumps(note))
    return folder


def _hide(row: dict, name: str, number: int) -> dict:
    """Fills the hidden columns: a tenth of the rows is planted, true amounts are far from all others."""
    for column in TABLES[name].hidden:
        kind = TABLES[name].schema.field(column).type
        if column == "planted_id":
            row[column] = FIRST_PLANTED + number % 97 if number % 10 == 0 else None
        elif pa.types.is_date(kind):
            row[column] = date(2055, 5, 5)
        else:
            row[column] = TRUE_FEN + number if pa.types.is_int64(kind) else TRUE_F32
            if column == "true_units":
                row[column] = 987_654_321
    return row


class _Maker:
    """Rows of every table, by a method of the table's name."""

    def __init__(self, random: np.random.Generator, firms: int, first_day: date, days: int) -> None:
        self.random, self.first_day, self.days = random, first_day, days
        self.ids = [FIRST_FIRM + 3 * k for k in range(firms)]
        self.banks = [FIRST_BANK - k for k in range(3)]
        self.outside = [OUTSIDE + k for k in range(5)]
        self.numbers = FIRST_RECORD
        self._cache: dict[str, Rows] = {}

    def record(self) -> int:
        self.numbers += 7
        return self.numbers

    def day(self, low: float = 0, high: float = 1) -> date:
        return self.first_day + timedelta(days=int(self.random.integers(int(low * self.days), int(high * self.days))))

    def after(self, day: date, low: int, high: int, missing: float = 0) -> date | None:
        """A later day inside the world, sometimes none."""
        later = day + timedelta(days=int(self.random.integers(low, high)))
        inside = later < self.first_day + timedelta(days=self.days)
        return later if inside and self.random.random() >= missing else None

    def money(self, low: int = 1_000_00, high: int = 90_000_00) -> int:
        return int(self.random.integers(low, high))

    def one(self, choices):
        return choices[int(self.random.integers(len(choices)))]

    def pair(self) -> tuple[int, int]:
        seller = self.one(self.ids)
        return seller, self.one([other for other in [*self.ids, *self.outside] if other != seller])

    def months(self) -> list[date]:
        last = self.first_day + timedelta(days=self.days - 1)
        return [
            date(year, month, 1)
            for year in range(self.first_day.year, last.year + 1)
            for month in range(1, 13)
            if self.first_day <= date(year, month, 1) and date(year + month // 12, month % 12 + 1, 1) <= last
        ]

    # Who there is

    def firm(self) -> Rows:
        return [
            {
                "firm_id": firm,
                "uscc": f"91330100MA2{k:07d}",
                "tax_number": f"91330100MA2{k:07d}" if k % 3 else f"3301{k:011d}",
                "registration_number": f"33010{k:010d}",
                "name": f"Hangzhou Sample Works No. {k} Co., Ltd.",
                "industry_code": f"C{1310 + k}",
                "division": "13",
                "region_code": "330106",
                "address": f"{k} Willow Road, Xihu",
                "phone": f"1380000{k:04d}",
                "legal_person_id": FIRST_PERSON + k,
                "capital_fen": 100_000_000 * (k + 1),
                "founded_on": self.first_day - timedelta(days=4000 - 150 * k),
                "closed_on": self.first_day + timedelta(days=self.days // 2) if k == 3 else None,
                "kind": "manufacturer",
                "taxpayer": "small" if k % 4 == 0 else "general",
                "in_region": k % 6 != 5,
                "accounting": "full",
                "chain": "steel",
                "tier": k % 5,
                "core_id": self.ids[0],
                "platform_id": None,
                "has_equipment": k % 2 == 0,
                "on_platform": k % 2 == 0,
                "has_bureau_record": k % 2 == 0,
                "size_class": "small",
            }
            for k, firm in enumerate(self.ids)
        ]

    def person(self) -> Rows:
        return [
            {
                "person_id": FIRST_PERSON + k,
                "name": f"Invented Person {k}",
                "id_number": f"33010619700101{k:04d}",
                "phone": f"1390000{k:04d}",
                "device_id": f"device-{k}",
                "address": f"{k} Plum Lane",
            }
            for k in range(len(self.ids))
        ]

    def firm_change(self) -> Rows:
        rows = []
        for k, firm in enumerate(self.ids[:8]):
            kind = ("renamed", "moved", "legal_person", "branch_opened")[k % 4]
            new = {
                "renamed": f"Hangzhou Renamed Works No. {k} Co., Ltd.",
                "moved": f"{k} Poplar Street, Yuhang",
                "legal_person": str(FIRST_PERSON + k + 1),
                "branch_opened": f"Hangzhou Sample Works No. {k} Branch",
            }[kind]
            old = {"renamed": f"Hangzhou Sample Works No. {k} Co., Ltd.", "legal_person": str(FIRST_PERSON + k)}
            row = {"change_id": self.record(), "firm_id": firm, "changed_on": self.day(0.2, 0.6), "kind": kind}
            rows.append(row | {"old_value": old.get(kind, f"{k} Willow Road, Xihu"), "new_value": new})
        return rows

    def ownership(self) -> Rows:
        rows = []
        for k, firm in enumerate(self.ids):
            start = self.first_day - timedelta(days=1000)
            end = self.day(0.3, 0.9) if k % 5 == 0 else None
            person = {"owner_id": FIRST_PERSON + k, "owner_is_firm": False, "share_ratio": 0.7, "to_on": end}
            parent = {"owner_id": self.ids[k - 1], "owner_is_firm": True, "share_ratio": 0.3, "to_on": None}
            rows += [{"firm_id": firm, "from_on": start} | owner for owner in (person, parent)]
        return rows

    def outside_party(self) -> Rows:
        return [
            {
                "party_id": party,
                "uscc": f"91310000OUT{k:07d}",
                "name": f"Shanghai Outside Trading {k} Co., Ltd.",
                "region_code": "310000",
                "industry_code": "F5164",
            }
            for k, party in enumerate(self.outside)
        ]

    # Trade and money

    def trade_order(self) -> Rows:
        if "trade_order" not in self._cache:
            rows = []
            for _ in range(8 * len(self.ids)):
                seller, buyer = self.pair()
                day, units, price = self.day(0, 0.95), int(self.random.integers(1, 500)), self.money(100, 90_000)
                row = {"order_id": self.record(), "buyer_id": buyer, "seller_id": seller, "good": self.one(GOODS)}
                row |= {"quantity_units": units, "unit_price_fen": price, "amount_fen": units * price}
                row |= {"ordered_on": day, "due_on": day + timedelta(days=30)}
                row |= {"cancelled_on": self.after(day, 1, 20, missing=0.9)}
                rows.append(row)
            self._cache["trade_order"] = rows
        return [dict(row) for row in self._cache["trade_order"]]

    def delivery(self) -> Rows:
        if "delivery" not in self._cache:
            rows = []
            for order in self.trade_order():
                shipped = None if order["cancelled_on"] else self.after(order["ordered_on"], 1, 30)
                if shipped:
                    row = {
                        name: order[name] for name in ("order_id", "seller_id", "buyer_id", "good", "quantity_units")
                    }
                    row |= {"delivery_id": self.record(), "shipped_on": shipped, "carrier_id": self.one(self.outside)}
                    rows.append(row | {"received_on": self.after(shipped, 1, 6, missing=0.05)})
            self._cache["delivery"] = rows
        return [dict(row) for row in self._cache["delivery"]]

    def invoice(self) -> Rows:
        if "invoice" not in self._cache:
            prices = {order["order_id"]: order["amount_fen"] for order in self.trade_order()}
            rows = []
            for delivery in self.delivery():
                net = prices[delivery["order_id"]]
                row = {name: delivery[name] for name in ("seller_id", "buyer_id", "good", "order_id", "delivery_id")}
                row |= {"invoice_id": self.record(), "invoice_number": f"{len(rows) + 40_000_000:08d}"}
                row |= {"issued_on": self.after(delivery["shipped_on"], 0, 10) or delivery["shipped_on"]}
                row |= {"amount_fen": net, "tax_fen": net * 13 // 100, "total_fen": net + net * 13 // 100}
                row |= {"voided_on": self.after(row["issued_on"], 1, 25, missing=0.93), "red_of_id": None}
                rows.append(row)
                if len(rows) % 40 == 0 and (red_on := self.after(row["issued_on"], 5, 40)):
                    red = row | {"invoice_id": self.record(), "invoice_number": f"{len(rows) + 40_000_000:08d}"}
                    red |= {name: -row[name] for name in ("amount_fen", "tax_fen", "total_fen")}
                    rows.append(red | {"red_of_id": row["invoice_id"], "issued_on": red_on, "voided_on": None})
            self._cache["invoice"] = rows
        return [dict(row) for row in self._cache["invoice"]]

    def payment(self) -> Rows:
        rows = []
        for invoice in self.invoice():
            paid = self.after(invoice["issued_on"], 5, 120, missing=0.1)
            if paid and invoice["total_fen"] > 0:
                row = {"payment_id": self.record(), "payer_id": invoice["buyer_id"], "payee_id": invoice["seller_id"]}
                row |= {"paid_at": datetime(paid.year, paid.month, paid.day, int(self.random.integers(9, 18)), 5)}
                row |= {"amount_fen": invoice["total_fen"], "channel": "transfer", "purpose": "goods"}
                rows.append(row | {"invoice_id": invoice["invoice_id"], "loan_id": None, "reverses_id": None})
        for row in rows[::50]:
            back = {"payment_id": self.record(), "reverses_id": row["payment_id"]}
            back |= {"payer_id": row["payee_id"], "payee_id": row["payer_id"], "purpose": "reversal"}
            rows.append(row | back | {"paid_at": row["paid_at"] + timedelta(hours=2)})
        return rows

    def pos_day(self) -> Rows:
        rows = []
        for firm in self.ids[:3]:
            for k in range(0, self.days, 2):
                amount = self.money(10_000, 900_000)
                row = {"firm_id": firm, "day": self.first_day + timedelta(days=k), "terminal": "T1", "receipts": 40}
                row |= {"payers": 31, "amount_fen": amount, "top_payer_ratio": 0.1, "night_ratio": 0.05}
                rows.append(row | {"fee_fen": amount * 38 // 10_000})
        return rows

    def payroll_run(self) -> Rows:
        row = {"headcount": 30, "amount_fen": 24_000_000}
        return [
            {"run_id": self.record(), "firm_id": firm, "period": month, "paid_on": month + timedelta(days=14)} | row
            for firm in self.ids
            for month in self.months()
        ]

    # Production

    def equipment(self) -> Rows:
        return [
            {
                "equipment_id": 610_000 + k,
                "firm_id": firm,
                "kind": "lathe",
                "maker": "Invented Machines",
                "installed_on": self.first_day - timedelta(days=100),
                "rated_kw": 22.0,
                "rated_units_hour": 12.0,
                "leased": k % 2 == 1,
            }
            for k, firm in enumerate(self.ids[::6])
        ]

    def equipment_hour(self) -> Rows:
        rows = []
        for machine in self.equipment():
            for k in range(24 * 20):
                at = datetime.combine(self.first_day, datetime.min.time()) + timedelta(hours=k)
                row = {"equipment_id": machine["equipment_id"], "hour_at": at, "running_minutes": int(k % 60)}
                row |= {"output_units": k % 13, "energy_kwh": 10.5, "temperature_c": 61.5, "vibration_mm_s": 2.5}
                rows.append(row | {"alarm_code": 0})
        return rows

    def production_day(self) -> Rows:
        row = {"good": "steel", "output_units": 90, "defect_units": 1, "wip_units": 20, "finished_units": 300}
        row |= {"raw_units": 500, "line_utilisation_ratio": 0.75}
        return [
            {"firm_id": firm, "day": self.first_day + timedelta(days=k)} | row
            for firm in self.ids[::6]
            for k in range(self.days)
        ]

    def warehouse_receipt(self) -> Rows:
        if "warehouse_receipt" not in self._cache:
            rows = []
            for firm in self.ids[::3]:
                day = self.day(0, 0.7)
                row = {"receipt_id": self.record(), "warehouse_id": self.outside[0], "owner_id": firm, "good": "steel"}
                row |= {"quantity_units": 100, "issued_on": day, "released_on": self.after(day, 30, 200, missing=0.3)}
                rows.append(row | {"pledged_to_id": self.banks[0], "lot_code": f"L{len(rows):05d}"})
            self._cache["warehouse_receipt"] = rows
        return [dict(row) for row in self._cache["warehouse_receipt"]]

    def warehouse_sensor(self) -> Rows:
        return [
            {"receipt_id": receipt["receipt_id"], "day": receipt["issued_on"] + timedelta(days=k), "sensor": sensor}
            | {"reading": 1000.5, "door_openings": 2}
            for receipt in self.warehouse_receipt()
            for k in range(20)
            for sensor in ("weight", "camera")
        ]

    # Government

    def tax_return(self) -> Rows:
        rows = []
        for firm in self.ids:
            for month in self.months():
                filed, sales = self.after(month, 40, 46), self.money()
                if filed:
                    row = {"firm_id": firm, "period": month, "declared_sales_fen": sales, "output_tax_fen": sales // 8}
                    row |= {"input_tax_fen": sales // 10, "payable_fen": sales // 40, "filed_on": filed}
                    paid = self.after(filed, 0, 60, missing=0.05)
                    rows.append(row | {"paid_on": paid, "paid_fen": sales // 40 if paid else 0})
        return rows

    def _contributions(self, heads: str) -> Rows:
        rows = []
        for firm in self.ids:
            for month in self.months():
                paid, due = self.after(month, 40, 80, missing=0.05), self.money(100_000, 900_000)
                row = {"firm_id": firm, "period": month, heads: 30, "due_fen": due, "paid_fen": due if paid else 0}
                rows.append(row | {"paid_on": paid} | ({"base_fen": due * 4} if heads == "insured" else {}))
        return rows

    def social_insurance(self) -> Rows:
        return self._contributions("insured")

    def housing_fund(self) -> Rows:
        return self._contributions("members")

    def customs_declaration(self) -> Rows:
        return [
            {
                "declaration_id": self.record(),
                "firm_id": self.one(self.ids),
                "declared_on": self.day(),
                "direction": self.one(("import", "export")),
                "hs_code": "72083990",
                "good": "steel",
                "quantity_units": 40,
                "amount_fen": self.money(),
                "country": "VN",
                "bill_of_lading": f"BL{k:08d}",
            }
            for k in range(4 * len(self.ids))
        ]

    def penalty(self) -> Rows:
        rows = []
        for _ in range(2 * len(self.ids)):
            day = self.day(0, 0.9)
            row = {"penalty_id": self.record(), "firm_id": self.one(self.ids), "department": "environment"}
            row |= {"decided_on": day, "kind": self.one(("fine", "warning", "closure")), "amount_fen": self.money()}
            rows.append(row | {"published_on": self.after(day, 3, 20)})
        return rows

    def court_case(self) -> Rows:
        rows = []
        for k in range(3 * len(self.ids)):
            plaintiff, defendant = self.pair()
            filed = self.day(0, 0.8)
            judged = self.after(filed, 30, 120, missing=0.1)
            enforced = self.after(judged, 20, 60, missing=0.5) if judged else None
            last = enforced or judged
            row = {"case_id": self.record(), "case_number": f"({filed.year})Zhe0106-{k}", "kind": "sales_contract"}
            row |= {"plaintiff_id": defendant, "defendant_id": plaintiff, "filed_on": filed, "judged_on": judged}
            row |= {"closed_on": self.after(last, 10, 60, missing=0.3) if last else None, "amount_fen": self.money()}
            rows.append(row | {"enforced_on": enforced})
        return rows

    def electricity(self) -> Rows:
        rows = []
        for firm in self.ids:
            for k in range(self.days):
                energy = float(np.float32(self.random.uniform(50, 900)))
                row = {"firm_id": firm, "day": self.first_day + timedelta(days=k), "energy_kwh": energy}
                rows.append(row | {"peak_ratio": 0.4, "fee_fen": int(energy * 70)})
        return rows

    def _monthly_meter(self) -> Rows:
        rows = []
        for firm in self.ids:
            for month in self.months():
                volume = float(np.float32(self.random.uniform(5, 400)))
                row = {"firm_id": firm, "period": month, "volume_m3": volume, "fee_fen": int(volume * 420)}
                rows.append(row | {"paid_on": self.after(month, 35, 70, missing=0.05)})
        return rows

    water = gas = _monthly_meter

    def environment(self) -> Rows:
        return [
            {
                "record_id": self.record(),
                "firm_id": self.one(self.ids),
                "day": self.day(),
                "kind": "reading",
                "pollutant": self.one(("COD", "SO2")),
                "discharge_kg": 11.5,
                "limit_kg": 20.0,
                "finding": self.one(("", "over limit")),
            }
            for _ in range(5 * len(self.ids))
        ]

    def land_plot(self) -> Rows:
        return [
            {
                "plot_id": 440_000 + k,
                "firm_id": self.one(self.ids),
                "year": self.first_day.year,
                "use": "farm",
                "crop": self.one(("rice", "tea")),
                "claimed_area_mu": 120.0,
                "registered_area_mu": 100.0,
                "mortgaged_on": self.day(0.2, 0.8) if k % 3 == 0 else None,
                "latitude": 30.25,
                "longitude": 120.125,
            }
            for k in range(len(self.ids))
        ]

    # Banks and the bureau

    def loan_application(self) -> Rows:
        if "loan_application" not in self._cache:
            rows = []
            for firm in self.ids[::2]:
                for bank in self.banks[:2]:
                    day = self.day(0, 0.5)
                    row = {"application_id": self.record(), "firm_id": firm, "bank_id": bank, "product": "working"}
                    row |= {"applied_on": day, "decided_on": self.after(day, 2, 20), "amount_fen": 100_000_000}
                    row |= {"decision": self.one(("approved", "approved", "declined")), "reason": ""}
                    rows.append(row | {"purpose": "raw materials"})
            self._cache["loan_application"] = rows
        return [dict(row) for row in self._cache["loan_application"]]

    def loan(self) -> Rows:
        if "loan" not in self._cache:
            rows = []
            for application in self.loan_application():
                if application["decision"] == "approved" and application["decided_on"]:
                    start = application["decided_on"] + timedelta(days=3)
                    row = {name: application[name] for name in ("application_id", "firm_id", "bank_id", "product")}
                    row |= {"loan_id": self.record(), "principal_fen": 100_000_000, "rate_ratio": 0.058}
                    row |= {"started_on": start, "matures_on": start + timedelta(days=365), "repayment": "monthly"}
                    row |= {"security": "guarantee", "renews_id": None, "closed_on": self.after(start, 300, 400, 0.3)}
                    rows.append(row | {"status": "closed"})
            self._cache["loan"] = rows
        return [dict(row) for row in self._cache["loan"]]

    def loan_schedule(self) -> Rows:
        return [
            {"loan_id": loan["loan_id"], "number": k, "due_on": loan["started_on"] + timedelta(days=30 * k)}
            | {"principal_fen": 8_333_333, "interest_fen": 480_000}
            for loan in self.loan()
            for k in range(1, 13)
        ]

    def loan_repayment(self) -> Rows:
        rows = []
        for due in self.loan_schedule():
            if paid := self.after(due["due_on"], 0, 40, missing=0.05):
                rows.append({"repayment_id": self.record(), "paid_on": paid} | due)
                del rows[-1]["due_on"]
        return rows

    def loan_status(self) -> Rows:
        rows = []
        for number, loan in enumerate(self.loan()):
            months = [month for month in self.months() if month > loan["started_on"]]
            for k, month in enumerate(months):
                late = 30 * k if number % 4 == 0 and k < 6 else 0
                status = {"loan_id": loan["loan_id"], "month": month - timedelta(days=1), "days_past_due": late}
                word = "normal" if late == 0 else "special_mention" if late <= 90 else "substandard"
                rows.append(status | {"balance_fen": max(0, 100_000_000 - 8_333_333 * k), "class": word})
        return rows

    def collateral(self) -> Rows:
        held = [(loan, "receipt", "L00000", None) for loan in self.loan()[::3]]
        sold = {bill["seller_id"]: bill["invoice_number"] for bill in self.invoice()}
        for loan in self.loan()[1::3]:
            held.append((loan, "invoice", sold.get(loan["firm_id"], "40000000"), loan["closed_on"]))
        return [
            {"collateral_id": self.record(), "loan_id": loan["loan_id"], "kind": kind, "object": number}
            | {"value_fen": 120_000_000, "from_on": loan["started_on"], "to_on": ended}
            for loan, kind, number, ended in held
        ]

    def guarantee(self) -> Rows:
        rows = []
        for number, loan in enumerate(self.loan()):
            row = {"guarantee_id": self.record(), "guarantor_id": self.one(self.ids), "firm_id": loan["firm_id"]}
            row |= {"loan_id": loan["loan_id"], "amount_fen": 50_000_000, "from_on": loan["started_on"]}
            called = self.after(loan["started_on"], 150, 300) if number % 4 == 0 else None
            row |= {"to_on": None, "called_on": called, "paid_fen": 20_000_000 if called else 0}
            row |= {"contact_phone": f"1380000{number:04d}"}
            rows.append(row)
        return rows

    def bureau_enquiry(self) -> Rows:
        return [
            {"enquiry_id": self.record(), "firm_id": self.one(self.ids), "bank_id": self.one(self.banks)}
            | {"enquired_on": self.day(), "purpose": "loan_approval"}
            for _ in range(4 * len(self.ids))
        ]

    # Field, market, truth

    def branch_visit(self) -> Rows:
        return [
            {"visit_id": self.record(), "firm_id": firm, "visited_on": self.day(), "manager": "Invented Manager"}
            | {"confidence": "high", "staff_seen": 28, "stock_seen_units": 310, "machines_running": 3}
            | {"machines_seen": 4, "note": "Line runs; two pallets without label."}
            for firm in self.ids
        ]

    def statement(self) -> Rows:
        names = [field.name for field in TABLES["statement"].schema if str(field.type) == "int64"]
        return [
            {name: self.money(1_000_000, 900_000_000) for name in names}
            | {"firm_id": firm, "year": self.first_day.year, "audited": False}
            | {"handed_in_on": date(self.first_day.year + 1, 4, 28)}
            for firm in self.ids
        ]

    def remote_sensing(self) -> Rows:
        return [
            {"plot_id": 440_000 + k, "observed_on": self.first_day + timedelta(days=16 * n), "crop_guess": "rice"}
            | {"sensed_area_mu": 99.5, "vegetation_index": 0.61, "cloud_ratio": 0.2}
            for k in range(6)
            for n in range(10)
        ]

    def commodity_price(self) -> Rows:
        rows = []
        for number, good in enumerate(GOODS):
            price = 400_000
            for k in range(self.days):
                day = self.first_day + timedelta(days=k)
                if day.weekday() >= 5 or (k + number) % 41 == 0:
                    continue
                stale = (k + number) % 29 == 0
                price = price if stale else price + int(self.random.integers(-900, 900))
                late = 2 if k % 31 == 0 else 0
                published = datetime(day.year, day.month, day.day, 16, 30) + timedelta(days=late)
                row = {"good": good, "day": day, "price_fen": price, "published_at": published, "stale": stale}
                rows.append(row)
        return rows

    def planted(self) -> Rows:
        return [
            {"planted_id": FIRST_PLANTED + k, "kind": "secret_kind", "look_alike": False, "firm_ids": [self.ids[k % 5]]}
            | {
                "from_on": self.first_day,
                "to_on": None,
                "knows_rule": False,
                "victim": "bank",
                "checks": "secret_check",
            }
            for k in range(97)
        ]

    def default_event(self) -> Rows:
        loan = self.loan()[0]
        day = loan["started_on"] + timedelta(days=200)
        row = {"firm_id": loan["firm_id"], "loan_id": loan["loan_id"], "first_unpaid_on": day - timedelta(days=90)}
        row |= {"past_due_30_on": day - timedelta(days=60), "past_due_90_on": day, "exposure_fen": 50_000_000}
        return [row | {"cause": "secret_cause", "contagion_from_id": None}]
