"""The main job from files to features: equal to an independent oracle, blind to the future, safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from lakehouse import engine, ledger, query, tables
from lakehouse.cli import main
from lakehouse.settings import get_settings
from ml import snapshot
from tests.integration.conftest import FIRST_DROP, SECOND_DROP, all_hashes, run_main_job
from tests.oracle import features_oracle, raw_counts

pytestmark = pytest.mark.engine


def of_date(features: pd.DataFrame, as_of: str) -> pd.DataFrame:
    return features[features["as_of"] == date.fromisoformat(as_of)]


def test_every_feature_equals_the_oracle_on_the_raw_files(two_drops: dict, first_drop: Path) -> None:
    received = date.fromisoformat(FIRST_DROP)
    dates = sorted(set(two_drops["first"]["as_of"]))
    assert received in dates and len(dates) == 25
    for as_of in dates:
        expected = features_oracle.features(first_drop, as_of, received)
        got = two_drops["first"][two_drops["first"]["as_of"] == as_of]
        assert features_oracle.compare(expected, got) == []


def test_a_revised_drop_leaves_every_earlier_date_as_it_was(two_drops: dict) -> None:
    for as_of in sorted(set(two_drops["first"]["as_of"])):
        before = of_date(two_drops["first"], as_of.isoformat()).sort_values("enterprise_id").reset_index(drop=True)
        after = of_date(two_drops["second"], as_of.isoformat()).sort_values("enterprise_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(before, after)


def test_a_revised_drop_reaches_features_as_new_knowledge(two_drops: dict, second_drop: Path) -> None:
    received = date.fromisoformat(SECOND_DROP)
    expected = features_oracle.features(second_drop, received, received)
    got = of_date(two_drops["second"], SECOND_DROP)
    assert features_oracle.compare(expected, got) == []
    assert not (got["known_at_is_assumed"].isna()).any()


def test_the_revision_changes_what_is_known_about_the_same_window(two_drops: dict, spark_mainjob) -> None:
    count = "SELECT count(*) FROM silver.vat_invoice WHERE status = 'void'"
    count = count.replace("silver.", "mainjob_silver.")
    before = query.run(spark_mainjob, count, date.fromisoformat(FIRST_DROP)).collect()[0][0]
    after = query.run(spark_mainjob, count, date.fromisoformat(SECOND_DROP)).collect()[0][0]
    assert after > before


def test_a_training_set_takes_features_of_the_date_before_each_row(two_drops, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "mainjob")
    get_settings.cache_clear()
    built, names = two_drops["second"], ["sales_amount_12m_cny", "purchase_amount_12m_cny"]
    dates = sorted(set(built["as_of"]))
    first = built[built["as_of"] == dates[0]].set_index("enterprise_id")
    known = [(firm, dates[0] + timedelta(days), days % 2) for firm in first.index[:6] for days in (0, 13)]
    strangers = [("NOBODY", dates[0], 0)]
    spine = tmp_path / "spine.csv"
    pd.DataFrame(known + strangers, columns=["enterprise_id", "as_of", "is_bad"]).to_csv(spine, index=False)
    words = ["features", "training-set", str(spine), "--features", ",".join(names), "--json", "--as-of"]

    assert "labels are not mature" in told(*words, dates[0].isoformat())
    lines = told(*words, "2030-01-01")
    assert told(*words, "2030-01-01") == lines
    said = {row["what"]: row["value"] for row in map(json.loads, lines.splitlines())}
    frozen = snapshot.load(Path(said["folder"]))
    assert (frozen.manifest["rows"], frozen.manifest["not_known_by_then"]) == (len(known), len(strangers))
    assert set(frozen.manifest["feature_versions"]) >= {"gold.enterprise_features"}
    rows = frozen.rows()
    rows[["as_of", "features_as_of"]] = rows[["as_of", "features_as_of"]].apply(
        lambda days: pd.to_datetime(days).dt.date
    )
    assert sorted(rows[["enterprise_id", "as_of", "is_bad"]].itertuples(index=False, name=None)) == sorted(known)
    for row in rows.itertuples():
        day = max(day for day in dates if day <= row.as_of)
        expected = built[(built["as_of"] == day) & (built["enterprise_id"] == row.enterprise_id)].iloc[0]
        assert row.features_as_of == day
        assert [getattr(row, name) for name in names] == [expected[name] for name in names]


def told(*words: str) -> str:
    """What a command printed; with the project's own errors only."""
    done = CliRunner().invoke(main, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.output


def test_every_batch_adds_up_and_equals_a_count_of_the_raw_files(two_drops: dict, first_drop: Path, spark_mainjob):
    counted = raw_counts.count_folder(first_drop)
    booked = ledger.batches(spark_mainjob).where(f"partition = '{FIRST_DROP}'").collect()
    for prefix, contract in (("output", "gov_tax__sale_invoice"), ("input", "gov_tax__purchase_invoice")):
        account = next(b for b in booked if b["contract"] == contract)
        raw = [c for name, c in counted.items() if name.startswith(prefix)]
        assert account["rows_in"] == sum(c.rows for c in raw)
        assert account["profile"]["void"] == sum(c.void for c in raw)
        assert account["profile"]["red_letter"] == sum(c.negative for c in raw)
        assert account["profile"]["zero_amount"] == sum(c.zero for c in raw)
        assert account["profile"]["void_red_letter"] == sum(c.negative_and_void for c in raw)
        assert account["rows_in"] == (
            account["rows_accepted"] + account["rows_quarantined"] + account["rows_duplicate"]
        )


def test_running_the_same_drops_again_changes_nothing(
    two_drops: dict, first_drop: Path, second_drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "mainjob")
    get_settings.cache_clear()
    run_main_job(SECOND_DROP, second_drop)
    with engine.session() as spark:
        assert all_hashes(spark) == two_drops["second_hash"]
        bronze_before = {t: v for t, v in two_drops["second_manifest"].versions.items() if t.startswith("bronze")}
        after = tables.current_manifest().versions
        assert {t: after[t] for t in bronze_before} == bronze_before


@pytest.fixture
def spark_mainjob(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A session in the lakehouse of `two_drops`."""
    monkeypatch.setenv("VINELAKE_ENVIRONMENT", "mainjob")
    get_settings.cache_clear()
    with engine.session() as session:
        yield session
    monkeypatch.undo()
    get_settings.cache_clear()
