"""Projects a world's loans, guarantees, enquiries and court enforcement into the credit bureau's files.

Everything carries `reported_on`, the day from which the bureau knows it. Files are sorted by subject, so that a report
reads few row groups. Subjects are known by their credit code, institutions by a code of two digits.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sources.systems import keys
from sources.systems.world import connect, define_views, files, world_seed

TABLES = ("subject", "subject_name", "credit", "credit_month", "guarantee", "enquiry", "enforcement")
WRONG_ACCOUNTS = 0.02  # share of accounts of which one month is reported overdue by mistake
WRONG_DAYS = 35
NEEDED = ["firm", "firm_change", "loan", "loan_status", "guarantee", "bureau_enquiry", "court_case"]


def project(folder: Path, world: Path) -> dict[str, int]:
    """Writes the bureau's files; returns their numbers of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    database = connect(spill=folder)
    define_views(database, world, NEEDED)
    seed = world_seed(world)
    _cards(database, world, seed)
    _numbers(database, "loan_number", "bureau_account", "SELECT loan_id FROM loan", "K", seed)
    _numbers(database, "guarantee_number", "bureau_guarantee", "SELECT guarantee_id FROM guarantee", "G", seed)
    _numbers(database, "enquiry_number", "bureau_enquiry", "SELECT enquiry_id FROM bureau_enquiry", "Q", seed)
    rows = {}
    for name in TABLES:
        target = folder / f"{name}.parquet"
        database.execute(f"COPY ({QUERIES[name]}) TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 20000)")
        counted = database.execute(f"SELECT count(*) FROM read_parquet('{target}')").fetchone()
        rows[name] = counted[0] if counted else 0
    database.close()
    return rows


def _cards(database: duckdb.DuckDBPyConnection, world: Path, seed: int) -> None:
    """Which card number each firm bears at the bureau, and every name it has borne there or at the registry."""
    ids = np.array([row[0] for row in database.execute("SELECT firm_id FROM firm ORDER BY firm_id").fetchall()])
    ring = keys.KeyRing.of(world, seed)
    database.register("own_cards", pa.table({"id": ids, "card": ring.keys("bureau", "bureau", ids)}))
    database.execute("CREATE TABLE card AS SELECT id AS firm_id, card FROM own_cards")
    database.execute("""
        CREATE TABLE name AS
        SELECT firm_id, name, founded_on AS from_on, false AS held FROM firm
        UNION ALL
        SELECT firm_id, new_value, changed_on, false FROM firm_change WHERE kind LIKE 'rename%'""")
    if found := files(world, "department_subject"):
        database.execute(f"""
            INSERT INTO name
            SELECT firm_id, name, from_on, true FROM read_parquet('{found}') WHERE department = 'bureau'""")


def _numbers(database, table: str, kind: str, query: str, prefix: str, seed: int) -> None:
    ids = np.array([row[0] for row in database.execute(query).fetchall()], np.int64)
    database.register("made", pa.table({"id": ids, "number": keys.row_keys(kind, ids, seed, prefix)}))
    database.execute(f"CREATE TABLE {table} AS SELECT * FROM made")
    database.unregister("made")


# A number in [0, 1) that belongs to a text under a salt.
def _chance(text: str, salt: str) -> str:
    return f"((md5_number_lower({text} || '{salt}') % 1000003) / 1000003.0)"


BANK = "('B' || lpad((-100 - bank_id)::VARCHAR, 2, '0'))"
QUERIES = {
    "subject": """
        SELECT f.uscc AS subject, c.card, f.founded_on FROM firm f JOIN card c USING (firm_id) ORDER BY subject""",
    "subject_name": """
        SELECT f.uscc AS subject, n.name, n.from_on, n.held FROM name n JOIN firm f USING (firm_id)
        ORDER BY subject, held, from_on""",
    "credit": f"""
        SELECT f.uscc AS subject, n.number AS account, {BANK} AS lender, l.product, l.principal_fen, l.started_on,
               l.matures_on, l.closed_on, l.security,
               l.started_on + 1 + floor({_chance("n.number", "opened")} * 6)::INTEGER AS reported_on
        FROM loan l JOIN firm f USING (firm_id) JOIN loan_number n ON n.id = l.loan_id ORDER BY subject, account""",
    "credit_month": f"""
        WITH months AS (
            SELECT f.uscc AS subject, n.number AS account, last_day(s.month) AS month, s.balance_fen, s.days_past_due,
                   s.class,
                   last_day(s.month) + 8 + floor({_chance("n.number", "month")} * 5)::INTEGER AS reported_on,
                   row_number() OVER (PARTITION BY s.loan_id ORDER BY s.month) AS number,
                   count(*) OVER (PARTITION BY s.loan_id) AS many
            FROM loan_status s JOIN loan l USING (loan_id) JOIN firm f USING (firm_id)
            JOIN loan_number n ON n.id = s.loan_id)
        SELECT * EXCLUDE (number, many), {_chance("account", "wrong")} < {WRONG_ACCOUNTS} AND days_past_due = 0
            AND number = 1 + floor({_chance("account", "place")} * many)::BIGINT AS wrong
        FROM months ORDER BY subject, account, month""",
    "guarantee": f"""
        SELECT g.uscc AS subject, n.number AS guarantee, d.uscc AS debtor, a.number AS account, x.amount_fen, x.from_on,
               x.to_on, x.called_on, x.paid_fen,
               x.from_on + 1 + floor({_chance("n.number", "opened")} * 6)::INTEGER AS reported_on
        FROM guarantee x JOIN firm g ON g.firm_id = x.guarantor_id JOIN firm d ON d.firm_id = x.firm_id
        JOIN guarantee_number n ON n.id = x.guarantee_id LEFT JOIN loan_number a ON a.id = x.loan_id
        ORDER BY subject, guarantee""",
    "enquiry": f"""
        SELECT f.uscc AS subject, n.number AS enquiry, {BANK} AS lender, e.enquired_on, e.purpose
        FROM bureau_enquiry e JOIN firm f USING (firm_id) JOIN enquiry_number n ON n.id = e.enquiry_id
        ORDER BY subject, enquired_on""",
    "enforcement": """
        SELECT f.uscc AS subject, c.case_number, c.kind, c.amount_fen, c.enforced_on, c.closed_on,
               c.enforced_on + 20 AS reported_on
        FROM court_case c JOIN firm f ON f.firm_id = c.defendant_id WHERE c.enforced_on IS NOT NULL
        ORDER BY subject, enforced_on""",
}
