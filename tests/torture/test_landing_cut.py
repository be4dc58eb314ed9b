"""Features as known at random dates equal a rebuild in an empty lakehouse from landing cut at them, dbt and all."""

from __future__ import annotations

import os
import random
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse import engine, tables
from spark_jobs import features
from spark_jobs.source_features import job, leakage
from tests import landing_cut
from tests.drops import publish_builds
from tests.landing_cut import RECEIVED

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VINELAKE_TORTURE"), reason="a long campaign: `make torture`"),
]


def gold_at(as_of: date) -> dict[str, list[tuple]]:
    """Both tables of features at a date, built and published here."""
    features.build(str(as_of))
    with engine.session() as spark:
        publish_builds(spark, "gold", str(as_of))
        leakage.check(spark, as_of)
        named = (features.TABLE, job.TABLE)
        read = {table: tables.read(spark, table).where(f"as_of = date'{as_of}'") for table in named}
        return {t: landing_cut.sorted_rows(rows.select(*sorted(rows.columns)).collect()) for t, rows in read.items()}


@pytest.mark.parametrize("seed", [1, 2])
def test_both_tables_equal_a_rebuild_from_landing_cut_at_random_dates(seed: int, lakehouse_of: Any) -> None:
    chance, found = random.Random(seed), landing_cut.batches(seed)
    span = (RECEIVED[-1] - RECEIVED[0]).days
    dates = sorted(RECEIVED[0] + timedelta(days=chance.randrange(span)) for _ in range(3))
    lakehouse_of(f"whole{seed}")
    landing_cut.build(found, RECEIVED[-1])
    as_known = {as_of: gold_at(as_of) for as_of in dates}
    for number, as_of in enumerate(dates):
        lakehouse_of(f"cut{seed}x{number}")
        landing_cut.build(found, as_of)
        rebuilt = gold_at(as_of)
        for table, rows in rebuilt.items():
            assert rows == as_known[as_of][table], (table, as_of)
            assert len(rows) >= 5
