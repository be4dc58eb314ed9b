"""Writes a subject's credit report from the bureau's files, as known on the world's today."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb

from sources.systems.bureau.projection import TABLES, WRONG_DAYS
from sources.systems.world import records

SHOWN_MONTHS = 24
ENQUIRY_YEARS = 2
ADVERSE_YEARS = 5
OVERDUE_DAYS = 30  # an account more than this many days late is adverse


class Files:
    """The bureau's files, read for one subject at a time."""

    def __init__(self, folder: Path, database: duckdb.DuckDBPyConnection) -> None:
        self.database = database
        self.paths = {name: str(folder / f"{name}.parquet") for name in TABLES}

    def rows(self, table: str, subject: str, known: str = "reported_on", today: date | None = None) -> list[dict]:
        """Rows of a table on a subject that the bureau knows today."""
        condition, values = "subject = ?", [subject]
        if today:
            condition, values = f"{condition} AND {known} <= ?", [subject, today]
        return records(self.database, f"SELECT * FROM read_parquet('{self.paths[table]}') WHERE {condition}", values)

    def subject(self, code: str, today: date) -> dict | None:
        """Who bears a credit code: all names it has borne by today, and the one the bureau uses."""
        found = self.rows("subject", code, "founded_on", today)
        if not found:
            return None
        names = self.rows("subject_name", code, "from_on", today)
        newest = max(names, key=lambda row: (row["held"], row["from_on"]))
        return found[0] | {"name": newest["name"], "names": {row["name"] for row in names}}

    def account_owner(self, subject: str, account: str, month: str, today: date) -> dict | None:
        """A reported month of an account of the subject."""
        months = self.rows("credit_month", subject, today=today)
        return next((m for m in months if m["account"] == account and f"{m['month']:%Y-%m}" == month), None)


def years_before(day: date, years: int) -> date:
    """The same day some years earlier; the last of February where there is none."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def report(files: Files, subject: dict, today: date, footprints: list[dict], disputes: list[dict]) -> dict:
    """The parts of a report that follow from the files: summary, accounts, guarantees, adverse items, enquiries.

    `footprints` are enquiries made through the service, `disputes` those about the subject's accounts as they stand.
    """
    code = subject["subject"]
    months = _corrected(files.rows("credit_month", code, today=today), disputes)
    accounts = [
        _account(row, months.get(row["account"], []), disputes, today)
        for row in files.rows("credit", code, today=today)
    ]
    guarantees = [_guarantee(row, today) for row in files.rows("guarantee", code, today=today)]
    adverse = [
        *(item for account, rows in months.items() for item in _overdue_spells(account, rows)),
        *_enforcements(files.rows("enforcement", code, today=today), today),
        *(_called(row) for row in guarantees if row["called_on"]),
    ]
    horizon = years_before(today, ADVERSE_YEARS)
    adverse = sorted((a for a in adverse if a["until"] is None or a["until"] > horizon), key=lambda a: a["since"])
    enquiries = _enquiries(files.rows("enquiry", code, "enquired_on", today), footprints, today)
    return {
        "result": "report" if accounts or guarantees else "no_record",
        "summary": _summary(accounts, guarantees, adverse, enquiries, today),
        "accounts": accounts,
        "guarantees_given": guarantees,
        "adverse": adverse,
        "enquiries": enquiries,
    }


def _corrected(rows: list[dict], disputes: list[dict]) -> dict[str, list[dict]]:
    """Months by account, oldest first, as the bureau has them: mistakes stand until a dispute put them right."""
    mended = {(d["account"], d["month"]) for d in disputes if d["state"] == "corrected"}
    found: dict[str, list[dict]] = {}
    for row in sorted(rows, key=lambda row: row["month"]):
        month = {
            "month": f"{row['month']:%Y-%m}",
            "balance_fen": row["balance_fen"],
            "days_past_due": row["days_past_due"],
            "classification": row["class"],
            "end": row["month"],
        }
        if row["wrong"] and (row["account"], month["month"]) not in mended:
            month |= {"days_past_due": WRONG_DAYS, "classification": "special_mention"}
        found.setdefault(row["account"], []).append(month)
    return found


def _account(row: dict, months: list[dict], disputes: list[dict], today: date) -> dict:
    last = months[-1] if months else {}
    closed = row["closed_on"] if row["closed_on"] and row["closed_on"] <= today else None
    shown = [{name: m[name] for name in m if name != "end"} for m in reversed(months[-SHOWN_MONTHS:])]
    kept = ("account", "lender", "product", "principal_fen", "started_on", "matures_on", "security")
    return {name: row[name] for name in kept} | {
        "balance_fen": 0 if closed else last.get("balance_fen"),
        "days_past_due": last.get("days_past_due"),
        "classification": last.get("classification"),
        "closed_on": closed,
        "under_dispute": any(d["account"] == row["account"] and d["state"] == "open" for d in disputes),
        "months": shown,
    }


def _guarantee(row: dict, today: date) -> dict:
    called = row["called_on"] if row["called_on"] and row["called_on"] <= today else None
    ended = row["to_on"] if row["to_on"] and row["to_on"] <= today else None
    kept = {name: row[name] for name in ("guarantee", "account", "amount_fen", "from_on")}
    paid = row["paid_fen"] if called else 0
    return kept | {"debtor_code": row["debtor"], "to_on": ended, "called_on": called, "paid_fen": paid}


def _overdue_spells(account: str, months: list[dict]) -> list[dict]:
    """Runs of months more than `OVERDUE_DAYS` late; a run ends at the first month's end that is not."""
    spells: list[dict] = []
    running = None
    for month in months:
        if month["days_past_due"] > OVERDUE_DAYS:
            if running is None:
                running = {"kind": "overdue", "reference": account, "since": month["end"], "until": None}
                running |= {"worst_days_past_due": 0, "amount_fen": 0}
                spells.append(running)
            running["worst_days_past_due"] = max(running["worst_days_past_due"], month["days_past_due"])
            running["amount_fen"] = max(running["amount_fen"], month["balance_fen"])
        elif running is not None:
            running["until"], running = month["end"], None
    return spells


def _enforcements(rows: list[dict], today: date) -> list[dict]:
    return [
        {
            "kind": "enforcement",
            "reference": row["case_number"],
            "since": row["enforced_on"],
            "until": row["closed_on"] if row["closed_on"] and row["closed_on"] <= today else None,
            "worst_days_past_due": None,
            "amount_fen": row["amount_fen"],
        }
        for row in rows
    ]


def _called(row: dict) -> dict:
    """A guarantee that was called: adverse on the day, settled when it was paid out in full."""
    settled = row["called_on"] if (row["paid_fen"] or 0) >= row["amount_fen"] else None
    item = {"kind": "guarantee_called", "reference": row["guarantee"], "since": row["called_on"], "until": settled}
    return item | {"worst_days_past_due": None, "amount_fen": row["amount_fen"]}


def _enquiries(rows: list[dict], footprints: list[dict], today: date) -> list[dict]:
    horizon = years_before(today, ENQUIRY_YEARS)
    kept = [{name: row[name] for name in ("lender", "enquired_on", "purpose")} for row in rows]
    kept += [row | {"enquired_on": date.fromisoformat(row["enquired_on"])} for row in footprints]
    return sorted((row for row in kept if row["enquired_on"] >= horizon), key=lambda r: r["enquired_on"], reverse=True)


def _summary(accounts, guarantees, adverse, enquiries, today: date) -> dict:
    running = [account for account in accounts if account["closed_on"] is None]
    standing = [guarantee for guarantee in guarantees if guarantee["to_on"] is None]
    return {
        "open_accounts": len(running),
        "lenders": len({account["lender"] for account in running}),
        "balance_fen": sum(account["balance_fen"] or 0 for account in running),
        "overdue_accounts": sum((account["days_past_due"] or 0) > 0 for account in running),
        "guarantees_fen": sum(guarantee["amount_fen"] for guarantee in standing),
        "adverse_items": len(adverse),
        "enquiries_90_days": sum(row["enquired_on"] > today - timedelta(days=90) for row in enquiries),
    }
