"""Consents that borrowers signed with their applications: read from the bank's published tables, noted in the register.

A bank has every applicant sign a consent with the application form. It is noted with the application's number as its
evidence, from the day of application on, for two years at most, which is as long as bureaus let one hold. The name is
the registered one where the registry knows the customer's code; a customer without any code is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakehouse import consents, engine, tables
from lakehouse.errors import ConsentError
from lakehouse.time import parse_partition

APPLICATION, CUSTOMER, REGISTRY = (
    "bronze.core_bank__application",
    "bronze.core_bank__customer",
    "bronze.business_registry__enterprise",
)
HOLDS_DAYS = 730
SIGNED = """
WITH applications AS (
    SELECT DISTINCT application_number, customer_number, applied_on FROM {application}
    WHERE disposition = 'accepted' AND applied_on <= DATE '{day}'
), customers AS (
    SELECT customer_number, max_by(name, change_id) AS name, max_by(uscc, change_id) AS uscc,
           max_by(registration_number, change_id) AS registration_number
    FROM {customer} WHERE disposition = 'accepted' GROUP BY customer_number
), registry AS (
    SELECT uscc, max_by(registration_number, revision) AS registration_number, max_by(name, revision) AS name
    FROM {registry} WHERE disposition = 'accepted' AND uscc IS NOT NULL GROUP BY uscc
)
SELECT application_number, applied_on, coalesce(c.uscc, r.uscc) AS subject_code,
       coalesce(r.name, c.name) AS subject_name
FROM applications
JOIN customers c USING (customer_number)
LEFT JOIN registry r ON r.uscc = c.uscc OR (c.uscc IS NULL AND r.registration_number = c.registration_number)
WHERE coalesce(c.uscc, r.uscc) IS NOT NULL
ORDER BY applied_on, application_number
"""


def record(partition: str, purposes: Sequence[str]) -> dict[str, Any]:
    """Notes the consent of every application up to a date; returns how many there are and how many are new.

    Running it again adds only what was applied for since. A ConsentError where the bank's tables are not published.
    """
    day = parse_partition(partition)
    with engine.session() as spark:
        missing = [name for name in (APPLICATION, CUSTOMER, REGISTRY) if not tables.is_published(spark, name)]
        if missing:
            raise ConsentError(
                "there are no applications to read consents from",
                where=missing[0],
                remedy="pull and build bronze first",
            )
        names = {"application": APPLICATION, "customer": CUSTOMER, "registry": REGISTRY}
        query = SIGNED.format(day=day, **{key: tables.published_name(name) for key, name in names.items()})
        rows = spark.sql(query).collect()
    papers = [_paper(row.asDict(), purposes) for row in rows]
    return {"applications": len(papers), "new_consents": consents.give_all(papers)}


def _paper(row: dict[str, Any], purposes: Sequence[str]) -> dict[str, Any]:
    return {
        "subject_code": row["subject_code"],
        "subject_name": row["subject_name"],
        "purposes": list(purposes),
        "given_on": str(row["applied_on"]),
        "valid_until": str(row["applied_on"] + timedelta(days=HOLDS_DAYS)),
        "channel": "signed_paper",
        "evidence": f"application {row['application_number']}",
    }
