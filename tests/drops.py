"""Hand-made drops: folders of files in the format the sources send, small enough to reckon by hand."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lakehouse.settings import get_settings

INVOICE_HEAD = ("企业代号", "发票号码", "开票日期", "{party}", "金额", "税额", "价税合计", "发票状态")
SALE_HEAD = tuple(cell.format(party="购方单位代号") for cell in INVOICE_HEAD)
PURCHASE_HEAD = tuple(cell.format(party="销方单位代号") for cell in INVOICE_HEAD)
APPLICANT_HEAD = ("企业代号", "企业名称")
CREDIT_HEAD = ("企业代号", "企业名称", "信誉评级", "是否违约")
REGISTRY_HEAD = (
    "enterprise_id", "uscc", "name", "registered_on", "industry_code", "region", "registered_capital_cny", "staff",
)  # fmt: skip
LOAN_HEAD = (
    "loan_id", "enterprise_id", "drawn_on", "due_on", "principal_cny", "dpd31_on", "dpd90_on", "guarantor_paid_on",
    "written_off_on", "closed_on",
)  # fmt: skip
VALID, VOID = "有效发票", "作废发票"

Row = Sequence[str]


def invoice(
    firm: str = "E1",
    number: int | str = 1,
    day: str = "2019/1/5",
    party: str = "B1",
    amount: float = 100.0,
    status: str = VALID,
    **cells: str,
) -> tuple[str, ...]:
    """One invoice row with 13 % tax; `tax`, `total` and any other cell can be given as raw text."""
    tax = round(amount * 0.13, 2)
    row = {
        "firm": firm, "number": str(number), "day": day, "party": party, "amount": f"{amount:.2f}",
        "tax": f"{tax:.2f}", "total": f"{amount + tax:.2f}", "status": status,
    }  # fmt: skip
    return tuple((row | cells).values())


def sound_sales(count: int, firm: str = "E1", start: int = 1) -> list[Row]:
    """That many different sound sales of one firm, numbered from `start`."""
    return [invoice(firm, start + i, f"2019/{i % 12 + 1}/{i % 28 + 1}", f"B{i % 7}", 10.0 + i) for i in range(count)]


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """A comma-separated file with a header, UTF-8, one record a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    return path


def drop(
    partition: str,
    sales: Iterable[Row] = (),
    purchases: Iterable[Row] = (),
    firms: Sequence[str] = (),
    borrowers: Iterable[Row] = (),
    registry: Iterable[Row] = (),
    loans: Iterable[Row] = (),
) -> Path:
    """Writes a drop of a partition into the inbox; a feed without rows sends no file. Returns the folder.

    `firms` are applicants by code, `borrowers` rows of the credit record.
    """
    folder = get_settings().inbox_dir / partition
    feeds = {
        "output_invoices.csv": (SALE_HEAD, list(sales)),
        "input_invoices.csv": (PURCHASE_HEAD, list(purchases)),
        "enterprises_without_credit_record.csv": (APPLICANT_HEAD, [(f, f"company {f}") for f in firms]),
        "enterprises_with_credit_record.csv": (CREDIT_HEAD, list(borrowers)),
        "business_registry.csv": (REGISTRY_HEAD, list(registry)),
        "loan_ledger.csv": (LOAN_HEAD, list(loans)),
    }
    for name, (head, rows) in feeds.items():
        if rows:
            write_csv(folder / name, head, rows)
    return folder


def publish_builds(spark: Any, layer: str, partition: str) -> dict[str, int]:
    """Publishes what was built of a layer without its expectations, which take most of a gate's time."""
    from expectations import gate, growth
    from lakehouse import tables

    waiting = growth.waiting_batches(spark) if layer == "bronze" else []
    changed = gate._changed(spark, layer, waiting)
    brought = [account["batch_id"] for account in waiting]
    tables.publish(spark, changed, f"test_{layer}", partition, brought)
    return changed
