"""A lakehouse built from landing cut at a date: batches of real contracts, by the day on which they were received.

Records are as the departments send them: history first, then what came in two further pulls, with corrections, payments
that became known later, a firm that was registered late and a taxpayer whose code came late.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from lakehouse import contracts, engine, tables
from lakehouse.settings import get_settings
from tests import feeds
from tests.drops import publish_builds

FIRMS = [f"91330100MA2{number:07d}" for number in range(6)]
RECEIVED = [date(2020, 3, 1), date(2020, 5, 1), date(2020, 7, 1)]
REGISTRY, TAXPAYER = "business_registry__enterprise", "tax_returns__taxpayer"
RETURN, PENALTY, INVOICE = "tax_returns__return", "penalties__decision", "vat_invoices__invoice"
VALID, VOID = "0", "2"  # as the tax ledger codes them
Batches = dict[tuple[date, str], list[dict[str, Any]]]


def batches(seed: int) -> Batches:
    """Records by the day received and contract; the same seed gives the same."""
    made = _Maker(random.Random(seed))
    for number, firm in enumerate(FIRMS):
        made.firm(number, firm)
    return dict(made.found)


def build(found: Batches, until: date) -> None:
    """Lands what was received by a date in the lakehouse of the settings, and publishes bronze and silver of it."""
    from spark_jobs import bronze, silver

    known = contracts.load_all(get_settings().contracts_dir)
    days = sorted({day for day, _ in found if day <= until})
    for day in days:
        for contract in sorted(c for received, c in found if received == day):
            feeds.land(
                known[contract], str(day), feeds.lines([_sent(known[contract], r) for r in found[day, contract]])
            )
    bronze.build(str(days[-1]))
    with engine.session() as spark:
        publish_builds(spark, "bronze", str(days[-1]))
    silver.build(str(days[-1]))
    with engine.session() as spark:
        publish_builds(spark, "silver", str(days[-1]))
        assert tables.is_published(spark, "silver.tax_return")


def _sent(contract: contracts.Contract, cells: Mapping[str, Any]) -> dict[str, Any]:
    """A record in the source's own field names; what is not told is empty."""
    return {c.source_name: cells.get(c.name) for c in contract.columns}


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance, self.found, self.number = chance, defaultdict(list), 0

    def publish(self, contract: str, on: date, cells: Mapping[str, Any], record: str = "", revision: int = 1) -> str:
        """Adds a publication to the first pull after it; one that no pull brought is left out."""
        self.number += 1
        record = record or f"A{self.number:015x}"
        received = next((day for day in RECEIVED if day > on), None)
        if received:
            told = {"record_id": record, "revision": revision, "published_at": f"{on}T09:00:00+08:00"}
            self.found[received, contract].append(told | dict(cells))
        return record

    def firm(self, number: int, firm: str) -> None:
        born = date(2017, 1, 10) if number != 4 else date(2020, 4, 2)
        name = f"Sample Works {number}"
        facts = {"enterprise_key": f"Q{number}", "uscc": firm, "name": name, "registration_number": f"3301000{number}",
                 "founded_on": "2010-01-01", "state": "1", "industry_code": "C3360", "region_code": "330106",
                 "registered_capital_cny": 500}  # fmt: skip
        self.publish(REGISTRY, born, facts)
        payer = {"taxpayer_id": f"T{number}", "name": name}
        record = self.publish(TAXPAYER, born, payer | {"certificate_number": None if number == 3 else firm})
        if number == 3:
            self.publish(TAXPAYER, date(2020, 6, 1), payer | {"certificate_number": firm}, record, 2)
        for month in range(30):
            self.month(f"T{number}", firm, date(2018 + month // 12, month % 12 + 1, 1))

    def month(self, payer: str, firm: str, start: date) -> None:
        chance = self.chance
        filed = start + timedelta(days=chance.randint(33, 45))
        sales = chance.choice((0, chance.randint(1000, 90_000)))
        cells = {"taxpayer_id": payer, "period_start": f"{start:%Y%m}", "declared_sales_cny": sales,
                 "output_tax_cny": sales // 10, "input_tax_cny": sales // 20, "payable_tax_cny": sales // 20,
                 "paid_tax_cny": 0, "filed_on": str(filed)}  # fmt: skip
        record = self.publish(RETURN, filed + timedelta(days=3), cells)
        if chance.random() < 0.7:
            paid = filed + timedelta(days=chance.randint(1, 120))
            changed = cells | {"paid_tax_cny": sales // 20, "paid_on": str(paid)}
            self.publish(RETURN, paid + timedelta(days=5), changed, record, 2)
        if chance.random() < 0.2:
            decided = start + timedelta(days=chance.randint(0, 27))
            self.publish(PENALTY, decided + timedelta(days=chance.randint(7, 60)), {
                "party_number": f"P{firm[-1]}", "party_name": "as written", "certificate_number": firm, "fine_cny": 500,
                "decided_on": f"{decided:%Y年%m月%d日}", "penalty_kind": "tax", "office": "city",
            })  # fmt: skip
        self.invoices(firm, start)

    def invoices(self, firm: str, start: date) -> None:
        for _ in range(2):
            self.number += 1
            issued, amount = start + timedelta(days=self.chance.randint(0, 27)), self.chance.randint(100, 9000)
            buyer = self.chance.choice([other for other in FIRMS if other != firm])
            cells = {"invoice_number": f"{self.number:08d}", "seller_tax_number": firm, "buyer_tax_number": buyer,
                     "issued_on": f"{issued:%Y%m%d}", "amount_excl_tax_cny": f"{amount}.00", "tax_cny": "0.00",
                     "amount_incl_tax_cny": f"{amount}.00", "status": VALID, "good": "yarn"}  # fmt: skip
            record = self.publish(INVOICE, issued + timedelta(days=2), cells)
            if self.chance.random() < 0.1:
                voided = issued + timedelta(days=self.chance.randint(3, 100))
                changed = cells | {"status": VOID, "voided_on": f"{voided:%Y%m%d}"}
                self.publish(INVOICE, voided + timedelta(days=2), changed, record, 2)


def sorted_rows(rows: Sequence[Any]) -> list[tuple]:
    """Rows as tuples in a fixed order, to be compared exactly."""
    return sorted((tuple(row) for row in rows), key=repr)
