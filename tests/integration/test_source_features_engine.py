"""Source features on a small random silver: equal to an oracle, blind to the future, and refused where they are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from lakehouse import engine
from lakehouse.errors import GateFailed
from lakehouse.settings import get_settings
from spark_jobs.source_features import catalogue, identity, job, leakage
from tests import silver_world
from tests.oracle.source_features_oracle import COVERED, Oracle, features

pytestmark = [pytest.mark.engine, pytest.mark.apart]

SEED = 20
CHANCE = random.Random(SEED)
DATES = [
    first + timedelta(days=CHANCE.randrange(150)) for first in (date(2019, 3, 1), date(2019, 9, 1), date(2020, 2, 1))
]


class World:
    """The tables, their views on a session, and the features of all dates made from them."""

    def __init__(self, spark, folder: Path) -> None:
        self.spark, self.folder, self.rows = spark, folder, silver_world.make(SEED)
        self.relations = silver_world.frames(spark, self.rows, folder)
        self.sales = {firm: 1000.0 * number for number, firm in enumerate(silver_world.FIRMS)}
        cells = [(day, firm, self.sales[firm], 3, 4) for day in DATES for firm in silver_world.FIRMS]
        spark.createDataFrame(
            cells, "as_of date, enterprise_id string, sales_amount_12m_cny double, customer_12m_count bigint, "
            "supplier_12m_count bigint",
        ).createOrReplaceTempView("world_spine")  # fmt: skip
        self.families = catalogue.load()
        made = job.compute(spark, self.families, DATES, self.relations, "world_spine").toArrow()
        self.features = made.to_pandas().set_index(["as_of", "enterprise_id"]).sort_index()
        silver_world.view(spark, "world_features", made, folder)

    def compare(self, as_of: date, families=None, made=None) -> int:
        spine = f"(SELECT * FROM world_spine WHERE as_of = date'{as_of}')"
        made = made or self.spark.table("world_features").where(f"as_of = date'{as_of}'")
        return leakage.compare(self.spark, families or self.families, as_of, self.relations, spine, made)

    def made_with(self, families, as_of: date):
        """Features of one date by another catalogue or another code, held fast."""
        spine = f"(SELECT * FROM world_spine WHERE as_of = date'{as_of}')"
        found = job.compute(self.spark, families, [as_of], self.relations, spine).toArrow()
        return self.spark.table(silver_world.view(self.spark, f"made_{as_of:%Y%m%d}", found, self.folder))


@pytest.fixture(scope="module")
def world(running_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    patch = pytest.MonkeyPatch()
    patch.setenv("VINELAKE_ENVIRONMENT", "sourcefeatures")
    get_settings.cache_clear()
    with engine.session("test_source_features") as spark:
        yield World(spark, tmp_path_factory.mktemp("silver"))
    patch.undo()
    get_settings.cache_clear()


def test_features_of_every_family_equal_the_oracle(world: World) -> None:
    compared = 0
    for as_of in DATES:
        oracle = Oracle(world.rows, as_of)
        for firm in silver_world.FIRMS:
            row = world.features.loc[(as_of, firm)]
            for name, department in COVERED.items():
                listed = firm in {f for (d, _), f in oracle.parties.items() if d == department}
                assert row[name] == ("covered" if listed else "not_covered"), (as_of, firm, name)
            for name, wanted in features(oracle, firm, world.sales[firm]).items():
                source = next((s.coverage for f in world.families for s in f.sources
                               if name in {x.name for x in s.features}), None)  # fmt: skip
                if (source and row[source] != "covered") or (source is None and pd.isna(row[name])):
                    assert pd.isna(row[name]), (as_of, firm, name)
                elif wanted is None:
                    assert pd.isna(row[name]), (as_of, firm, name, row[name])
                else:
                    assert row[name] == pytest.approx(float(wanted), rel=1e-9, abs=1e-9), (as_of, firm, name)
                    compared += bool(wanted)
    assert compared > 400  # and not all of them zeros


def test_a_feature_is_the_same_from_silver_cut_at_its_date(world: World) -> None:
    # A sum of bands, a link, records as they stand and a report; all families take a minute and are the torture's.
    some = [f for f in world.families if f.name in ("tax", "loans", "bureau")]
    some = [replace(family, across=()) for family in some]
    assert world.compare(DATES[1], some) == len(silver_world.FIRMS)


def test_a_column_from_the_future_is_caught(world: World) -> None:
    loans = next(f for f in world.families if f.name == "loans")
    source = loans.sources[0]
    planted = replace(source.features[0], value="count_if(closed_on IS NULL)")
    family = replace(loans, sources=(replace(source, features=(planted,)),), across=())
    made = world.made_with([family], DATES[1])
    with pytest.raises(GateFailed, match="loan_open_count") as caught:
        world.compare(DATES[1], [family], made)
    assert "compare dates with as_of" in str(caught.value)


def test_an_identity_found_out_later_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    family = next(f for f in world.families if f.name == "tax")
    with monkeypatch.context() as patch:
        patch.setattr(identity, "known_by", lambda moment: "true")
        patch.setattr(identity, "not_yet_known", lambda moment: f"{moment} IS NULL")
        made = world.made_with([replace(family, across=())], DATES[0])
    with pytest.raises(GateFailed, match="tax_return_coverage"):
        world.compare(DATES[0], [replace(family, across=())], made)


def test_without_a_source_features_are_null_for_a_told_reason(world: World) -> None:
    made = job.compute(world.spark, world.families, DATES, {}, "world_spine").toPandas()
    codes = [name for name in made.columns if name.endswith("_coverage")]
    assert len(made) == len(DATES) * len(silver_world.FIRMS) and len(codes) == 34
    assert (made[codes] == "no_source").all().all()
    rest = made.drop(columns=["as_of", "enterprise_id", "partner_count", *codes])
    assert rest.isna().all().all() and (made.partner_count == 7).all()  # partners are told by invoices
