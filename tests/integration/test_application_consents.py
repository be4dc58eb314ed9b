"""Consents that applicants signed, read from the bank's published tables."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse import consents, tables
from lakehouse.errors import ConsentError
from spark_jobs import application_consents

pytestmark = pytest.mark.engine
PURPOSES = ("loan_approval", "post_loan_management")
TABLES = {
    application_consents.APPLICATION: """
        SELECT * FROM VALUES ('AP1', 'K1', DATE '2024-01-10', 'accepted'), ('AP1', 'K1', DATE '2024-01-10', 'accepted'),
            ('AP2', 'K2', DATE '2024-02-01', 'accepted'), ('AP3', 'K3', DATE '2024-02-01', 'accepted'),
            ('AP4', 'K1', DATE '2024-09-01', 'accepted'), ('AP5', 'K2', DATE '2024-02-02', 'duplicate')
        AS t(application_number, customer_number, applied_on, disposition)""",
    application_consents.CUSTOMER: """
        SELECT * FROM VALUES (1, 'K1', 'Old Name', '91330106MA2K000011', NULL, 'accepted'),
            (2, 'K1', 'Bank Name', '91330106MA2K000011', NULL, 'accepted'),
            (3, 'K2', 'Second Works', CAST(NULL AS STRING), '330106000012345', 'accepted'),
            (4, 'K3', 'Nobody', CAST(NULL AS STRING), CAST(NULL AS STRING), 'accepted')
        AS t(change_id, customer_number, name, uscc, registration_number, disposition)""",
    application_consents.REGISTRY: """
        SELECT * FROM VALUES (1, '91330106MA2K000011', CAST(NULL AS STRING), 'Registered Name', 'accepted'),
            (1, '91330106MA2K000022', '330106000012345', 'Second Works Ltd.', 'accepted'),
            (2, '91330106MA2K000022', '330106000012345', 'Second Works Renamed Ltd.', 'accepted')
        AS t(revision, uscc, registration_number, name, disposition)""",
}


def test_each_application_is_a_consent_under_the_registered_name(spark) -> None:
    with pytest.raises(ConsentError, match="no applications"):
        application_consents.record("2024-03-01", PURPOSES)
    for name, query in TABLES.items():
        published = tables.published_name(name)
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {published.split('.')[0]}")
        spark.sql(f"CREATE TABLE {published} USING delta AS {query}")
    assert application_consents.record("2024-03-01", PURPOSES) == {"applications": 2, "new_consents": 2}
    assert application_consents.record("2024-03-01", PURPOSES)["new_consents"] == 0
    first, second = consents.known()
    assert (first.subject_code, first.subject_name, first.evidence) == (
        "91330106MA2K000011",
        "Registered Name",
        "application AP1",
    )
    assert (first.given_on, first.valid_until, first.purposes) == (date(2024, 1, 10), date(2026, 1, 9), PURPOSES)
    assert (second.subject_code, second.subject_name) == ("91330106MA2K000022", "Second Works Renamed Ltd.")
    assert application_consents.record("2024-10-01", PURPOSES) == {"applications": 3, "new_consents": 1}
