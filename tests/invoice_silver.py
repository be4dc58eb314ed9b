"""Silver of a few invoices and firms, published without the jobs that would make it, and the features of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd

from lakehouse import engine, known, tables
from spark_jobs import features

FIRST = "2020-03-01"
INVOICE = (
    "invoice_id string, version_no int, enterprise_id string, direction string, invoice_number string, "
    "issued_on date, counterparty_id string, amount_excl_tax_cny decimal(18,2), tax_cny decimal(18,2), "
    "amount_incl_tax_cny decimal(18,2), status string, is_red_letter boolean, red_letter_link string, "
    "reverses_invoice_id string, reversed_on date, known_at string, known_at_is_assumed boolean"
)


def invoice(
    issued_on: date,
    amount: int,
    *,
    firm: str = "E1",
    direction: str = "sale",
    partner: str = "B1",
    version: int = 1,
    known: str | None = None,
    status: str = "valid",
    number: str | None = None,
) -> tuple:
    """A version of the one invoice a firm issues or gets on a day; `known` as a date, else the day after.

    Two firms hold the same invoice where both name its `number`; else each has one of its own.
    """
    key = f"{firm}-{direction}-{issued_on}"
    known_at = known or (issued_on + timedelta(days=1)).isoformat()
    tax = Decimal(amount) * Decimal("0.13")
    return (
        key, version, firm, direction, number or key, issued_on, partner, Decimal(amount), tax, Decimal(amount) + tax,
        status, amount < 0, None, None, None, f"{known_at} 00:00:00", known is None,
    )  # fmt: skip


def months(first: date, count: int) -> list[date]:
    serials = range(first.year * 12 + first.month - 1, first.year * 12 + first.month - 1 + count)
    return [date(s // 12, s % 12 + 1, 15) for s in serials]


def put_silver(invoices: list[tuple], firms: dict[str, str]) -> None:
    """Publishes silver with these invoice versions and firms (id → day known)."""
    with engine.session("test_silver") as spark:
        tables.ensure_schemas(spark)
        rows = spark.createDataFrame(invoices, INVOICE)
        versions = rows.withColumn("known_at", rows.known_at.cast("timestamp"))
        superseded = known.macro("superseded", ["invoice_id"])
        tables.overwrite(versions.selectExpr("*", f"{superseded} AS superseded_at"), "silver.vat_invoice")
        enterprises = spark.createDataFrame(list(firms.items()), "enterprise_id string, known_at string")
        tables.overwrite(
            enterprises.selectExpr(
                "enterprise_id",
                "1 AS version_no",
                "cast(known_at AS timestamp) AS known_at",
                "date'2017-12-15' AS registered_on",
                "5000.00BD AS registered_capital_cny",
                "cast(null AS bigint) AS staff",
            ),
            "silver.enterprise",
        )
        built = ("silver.vat_invoice", "silver.enterprise")
        tables.publish(spark, {t: tables.build_version(t) for t in built}, "test", FIRST)


def built_features(publish: bool = True) -> pd.DataFrame:
    """The features as built, published as the gate would."""
    with engine.session("test_features") as spark:
        frame = spark.table(tables.build_name(features.TABLE)).toPandas()
        if publish:
            built = {table: tables.build_version(table) for table in features.TABLES}
            tables.publish(spark, built, "test", FIRST)
    return frame.sort_values(["as_of", "enterprise_id"]).reset_index(drop=True)
