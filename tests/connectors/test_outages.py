"""Seven outages and five schema changes of five years end as their contracts say, in one report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from lakehouse import families
from lakehouse.settings import get_settings
from sources.systems.government.events import OUTAGES, SCHEMA_CHANGES
from spark_jobs import freshness, outages_report
from tests.connectors import outage_campaign as campaign
from tests.connectors.kill_runs import Place, landed_rows
from tests.connectors.rest_systems import Systems

pytestmark = pytest.mark.services

DATASETS = {
    "courts__case": "courts.cases",
    "vat_invoices__invoice": "vat_invoices.invoices",
    "electricity__daily_usage": "electricity.daily_usage",
    "social_insurance__contribution": "social_insurance.contributions",
    "tax_returns__return": "tax_returns.returns",
    "housing_fund__deposit": "housing_fund.deposits",
    "customs__declaration": "customs.declarations",
}


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Systems, Place]]:
    """A lakehouse that has been through all of it."""
    folder = tmp_path_factory.mktemp("outages")
    with campaign.systems(folder) as started, pytest.MonkeyPatch.context() as patch:
        place = campaign.place(started, folder)
        campaign.pull(started, place, campaign.short_days(), patch)
        yield started, place


@pytest.fixture
def told(pulled: tuple[Systems, Place]) -> Iterator[tuple[list, list]]:
    with pulled[1].entered():
        yield outages_report.outages(), outages_report.changes()


def allowed(contract: str) -> tuple[int, str]:
    feeds = {o.contract: o.feed for o in families.outlines(get_settings().contracts_dir)}
    return feeds[contract].stale_after_days, feeds[contract].when_stale


def test_every_outage_is_told_from_its_first_day_to_the_day_after_its_last(told: tuple[list, list]) -> None:
    found = {(o.first_on, o.back_on) for o in told[0]}
    first_day = campaign.FIRST_DAY
    assert found == {(o.first(first_day), o.last(first_day) + timedelta(1)) for o in OUTAGES}
    for outage in told[0]:
        declared = next(o for o in OUTAGES if o.first(first_day) == outage.first_on)
        hit = campaign.DEPARTMENTS if declared.department in ("platform", "token") else (declared.department,)
        assert set(outage.departments) == set(hit)
        assert outage.attempts > outage.held_off > 0  # the breaker kept later attempts from asking
        assert outage.why


def test_what_was_missed_is_caught_up(told: tuple[list, list]) -> None:
    assert sum(o.caught_up for o in told[0]) > 20
    assert all(o.caught_up for o in told[0] if o.departments == ("electricity",))


def test_scores_change_only_where_an_outage_lasts_longer_than_its_contract_allows(told: tuple[list, list]) -> None:
    effects = {(o.departments[0], o.first_on.year): o.effect for o in told[0] if len(o.departments) == 1}
    assert effects == {
        ("electricity", 2019): "degrade",  # 4 days, 3 allowed
        ("courts", 2019): "degrade",  # 9 days, 7 allowed
        ("vat_invoices", 2020): "refer",  # 5 days, 3 allowed
        ("social_insurance", 2021): "degrade",  # 12 days, 10 allowed
        ("land", 2023): None,  # 20 days, 30 and 45 allowed
    }


def test_freshness_on_a_day_of_an_outage_is_what_it_was_then(pulled: tuple[Systems, Place]) -> None:
    last = next(o for o in OUTAGES if o.department == "vat_invoices").last(campaign.FIRST_DAY)
    with pulled[1].entered():
        then = {f.contract: f for f in freshness.of_feeds(last)}["vat_invoices__invoice"]
        days, effect = allowed("vat_invoices__invoice")
    assert (then.stale_days, then.allowed_days, then.effect_on_scores, then.is_breached) == (5, days, effect, True)
    assert then.last_outcome in ("unreachable", "held_off")


def test_every_change_ends_as_its_policy_says(told: tuple[list, list]) -> None:
    kinds = {"evolve": "evolved", "freeze": "frozen", "quarantine": "quarantined"}
    found = {c.contract: c for c in told[1]}
    assert len(told[1]) == len(SCHEMA_CHANGES)
    for change in SCHEMA_CHANGES:
        seen, on = found[campaign.CONTRACTS[change.department]], change.date(campaign.FIRST_DAY)
        assert seen.kind == kinds[seen.policy]
        assert on <= seen.seen_on < on + timedelta(campaign.ANSWERED_AFTER[change.department])
        assert seen.settled_on >= on + timedelta(campaign.ANSWERED_AFTER[change.department])
        assert seen.contract_version == campaign.NEW_VERSION
        assert seen.records > 0
        assert "v2" in seen.difference or "+" in seen.difference


def test_nothing_is_lost_and_nothing_comes_twice(pulled: tuple[Systems, Place]) -> None:
    started, place = pulled
    with place.entered():
        for contract, dataset in DATASETS.items():
            path = started.home / "government" / "logs" / f"{dataset}.parquet"
            query = (
                f"SELECT record, revision FROM read_parquet('{path}') "
                f"WHERE published_at < TIMESTAMP '{campaign.END}' + INTERVAL 1 DAY"
            )
            rows = [json.loads(row) for _, row in landed_rows(place, contract)]
            got = Counter((int(r["record_id"][1:], 16), int(r["revision"])) for r in rows)
            assert got == Counter(duckdb.sql(query).fetchall()), contract


def test_the_report_is_one_page(pulled: tuple[Systems, Place]) -> None:
    with pulled[1].entered():
        page = outages_report.write_page().read_text(encoding="utf-8")
    assert page.count("<tr>") == 2 + len(OUTAGES) + len(SCHEMA_CHANGES)
    assert "still away" not in page and "not yet" not in page
    assert Path(get_settings().project_dir).name not in page
