"""Loans at other lenders, from credit bureau reports: what became of them counts as an outcome, as own loans do.

A report is known when it was received, so that it decides labels from then on and says nothing about any day before.
It shows the last 24 months of each loan, and spells of more than 30 days late for five years.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_jobs.invoices import TRACE
from spark_jobs.silver_economy import codes_of
from spark_jobs.silver_plan import Reader
from spark_jobs.silver_versions import versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REPORT = "bureau__report"
ACCOUNTS = (
    "array<struct<account string, lender string, started_on date, matures_on date, closed_on date, "
    "principal_fen bigint, months array<struct<month string, days_past_due int>>>>"
)
ADVERSE = "array<struct<kind string, reference string, since date, worst_days_past_due int>>"
FACTS = ["drawn_on", "due_on", "principal_cny", "dpd31_on", "dpd90_on", "closed_on"]


def loan(reader: Reader) -> DataFrame | None:
    """One row per version of a loan at another lender; None before the first report.

    Days past due are told at months' ends: the day on which they reached 31 or 90 is reckoned back from there. A day
    once told stays when it leaves the months that a report shows. The lender's own loans, by the feed's option
    `ownLender`, are left to its books.
    """
    if not reader.has(REPORT):
        return None
    contract = reader.known[REPORT]
    own = str(contract.feed.options.get("ownLender", "")) if contract.feed else ""
    reports = reader.silver(contract.silver.table) if contract.silver else reader.accepted(REPORT)
    accounts = reports.selectExpr(
        "uscc", "produced_on", "enquiry_id", f"from_json(adverse, '{ADVERSE}') AS items",
        f"inline(from_json(accounts, '{ACCOUNTS}'))", *TRACE,
    ).where(f"lender <> '{own}'")  # fmt: skip
    told = accounts.selectExpr(
        "concat('bureau:', account) AS loan_id", "uscc", "produced_on", "enquiry_id", "started_on AS drawn_on",
        "matures_on AS due_on", "cast(principal_fen / 100 AS decimal(18,2)) AS principal_cny",
        f"least({_in_months(31)}, {_in_spells(31)}) AS dpd31_on",
        f"least({_in_months(90)}, {_in_spells(90)}) AS dpd90_on", "closed_on", *TRACE,
    )  # fmt: skip
    states = versions(told, ["loan_id"], ["produced_on", "enquiry_id"], FACTS, carry=True)
    return states.join(codes_of(reader).withColumnRenamed("registry_code", "uscc"), "uscc").selectExpr(
        "loan_id", "version_no", "enterprise_id", "drawn_on", "due_on", "principal_cny", "dpd31_on", "dpd90_on",
        "cast(null AS date) AS guarantor_paid_on", "cast(null AS date) AS written_off_on", "closed_on",
        "greatest(known_at, registry_known_at) AS known_at", *[c for c in TRACE if c != "known_at"],
    )  # fmt: skip


def _in_months(days: int) -> str:
    """The first day on which a loan was so many days late, by its months' ends; null where it never was."""
    late = f"filter(months, m -> m.days_past_due >= {days})"
    day = f"m -> date_sub(last_day(to_date(concat(m.month, '-01'))), m.days_past_due - {days})"
    return f"array_min(transform({late}, {day}))"


def _in_spells(days: int) -> str:
    """The same by its adverse items, which begin at the first month's end beyond 30 days."""
    late = f"i -> i.kind = 'overdue' AND i.reference = account AND i.worst_days_past_due >= {days}"
    return f"array_min(transform(filter(items, {late}), i -> date_add(i.since, {days - 31})))"
