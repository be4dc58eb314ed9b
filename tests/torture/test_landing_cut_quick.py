"""Source features of three families against a rebuild from landing cut at a date, row for row, without dbt."""

from __future__ import annotations

import os
import random
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse import engine, known, tables
from spark_jobs.source_features import catalogue, job
from tests import landing_cut
from tests.landing_cut import RECEIVED

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="minutes: run `make torture`"),
]

CHANCE = random.Random(5)
WITHIN = [(RECEIVED[0], RECEIVED[1]), (RECEIVED[1], RECEIVED[2])]
DATES = [first + timedelta(days=CHANCE.randrange((last - first).days)) for first, last in WITHIN]


def rows_at(as_of: date) -> list[tuple]:
    """Source features of every enterprise known at a date, from silver as it is published here."""
    families = [family for family in catalogue.load() if family.name in ("business", "tax", "penalties")]
    with engine.session() as spark:
        firms = known.statement("silver.enterprise", tables.published_name("silver.enterprise"),
                                tables.read(spark, "silver.enterprise").columns, as_of)  # fmt: skip
        spine = f"(SELECT date'{as_of}' AS as_of, enterprise_id, 1000.0D AS sales_amount_12m_cny FROM ({firms}))"
        made = job.compute(spark, families, [as_of], tables.published_in("silver"), spine)
        return landing_cut.sorted_rows(made.collect())


def test_features_equal_a_rebuild_from_landing_cut_at_the_date(lakehouse_of: Any) -> None:
    found = landing_cut.batches(5)
    lakehouse_of("landingwhole")
    landing_cut.build(found, RECEIVED[-1])
    as_known = {as_of: rows_at(as_of) for as_of in DATES}
    assert len(as_known[DATES[0]]) == 5 and len(as_known[DATES[1]]) == 6  # one firm was told of between
    assert as_known[DATES[0]] != as_known[DATES[1]]

    lakehouse_of("landingcut")
    landing_cut.build(found, DATES[1])
    assert rows_at(DATES[1]) == as_known[DATES[1]]
    assert rows_at(DATES[0]) == as_known[DATES[0]]
