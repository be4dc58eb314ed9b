"""The government platform and the market, pulled over many days with outages and changes: every publication once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from lakehouse import contracts
from lakehouse.settings import get_settings
from spark_jobs import landing
from spark_jobs.pull import ledger, runner
from tests.connectors.kill_runs import kill_and_finish, landed_rows, run_all
from tests.connectors.rest_systems import Systems, running

pytestmark = pytest.mark.services

FEEDS = {
    "electricity__daily_usage": "electricity.daily_usage",  # Parquet; a field is renamed
    "social_insurance__contribution": "social_insurance.contributions",  # csv.gz; a field is added
    "courts__case": "courts.cases",
    "market__price": None,
}
DAYS = (
    "2019-03-05",  # the files of January and February are ready
    "2019-03-06",
    "2019-03-12",  # electricity is down
    "2019-03-15",
    "2019-06-30",
    "2019-07-01",  # the change of social insurance
    "2019-10-10",  # courts are down
    "2020-03-31",
    "2020-04-01",  # the change of electricity
    "2020-05-20",
)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    with running(tmp_path_factory.mktemp("systems"), "government", "market") as started:
        yield started


def pull_days(systems: Systems, days: tuple[str, ...]) -> list[runner.Outcome]:
    found = []
    for day in days:
        systems.today(day)
        for name in FEEDS:
            found.append(runner.pull(day, contracts.load(get_settings().contracts_dir / f"{name}.yaml")))
    return found


def published(systems: Systems, dataset: str | None, until: str, hours: int = 0) -> set[tuple]:
    """What a source had published before a day began (or so many hours after that), by its own files."""
    if dataset is None:
        path, columns = systems.home / "market" / "price.parquet", "good, day::VARCHAR"
    else:
        path, columns = systems.home / "government" / "logs" / f"{dataset}.parquet", "record, revision"
    limit = f"TIMESTAMP '{until}' + INTERVAL {hours} HOUR"
    return set(duckdb.sql(f"SELECT {columns} FROM read_parquet('{path}') WHERE published_at < {limit}").fetchall())


def assert_complete(systems: Systems, got: list[tuple], dataset: str | None, day: str) -> None:
    """All that was published before the day is there, each once, and nothing that was published after it."""
    assert published(systems, dataset, day) <= set(got) <= published(systems, dataset, day, hours=24), dataset
    assert len(got) == len(set(got)), dataset


def key(record: dict) -> tuple:
    if "record_id" in record:
        return int(record["record_id"][1:], 16), int(record["revision"])
    return record["good"], record["day"]


def test_every_publication_is_landed_once(systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VINELAKE_BREAKER_SECONDS", "0")
    place = systems.place(tmp_path, "lakehouse")
    with place.entered():
        outcomes = pull_days(systems, DAYS)
        failed = {(o.contract, o.outcome) for o in outcomes if o.error}
        assert failed == {("electricity__daily_usage", "unreachable"), ("courts__case", "unreachable")}
        assert "asks to come back in 3,600 s" in str(next(o.error for o in outcomes if o.error))
        batches = landing.landed()
        for name, dataset in FEEDS.items():
            got = [key(json.loads(row)) for _, row in landed_rows(place, name)]
            assert_complete(systems, got, dataset, DAYS[-1])
            assert len(got) > 50
        assert [o.outcome for o in pull_days(systems, ("2020-05-20",))] == [ledger.NOTHING] * len(FEEDS)
    assert_versions(batches)


def assert_versions(batches: list[landing.Batch]) -> None:
    """A page has the version of the day it was asked for, a file that of the day it was written."""
    changes = {"electricity__daily_usage": "2020-04-01", "social_insurance__contribution": "2019-07-01"}
    for batch in batches:
        for file in batch.files:
            changed = str(batch.received_on) >= changes.get(batch.contract, "9999")
            if file.format == "json":
                assert file.schema_version == (2 if changed else 1), (batch.contract, batch.received_on)
                field = {"electricity__daily_usage": "zxygdl", "social_insurance__contribution": "jfzt"}
                if batch.contract in field:
                    assert (field[batch.contract] in file.header) == changed


def test_history_files_bear_the_version_in_which_they_were_written(systems: Systems, tmp_path: Path) -> None:
    systems.today("2020-05-10")
    place = systems.place(tmp_path, "lakehouse")
    with place.entered():
        outcome = runner.pull_department("2020-05-10", "government__electricity")
        batch = next(b for b in landing.landed() if b.contract == "electricity__daily_usage")
    files = {f.name: f for f in batch.files if f.format == "parquet"}
    # March's file was written on 3 April, after the change of 1 April.
    versions = {name.removeprefix("daily_usage-")[:7]: f.schema_version for name, f in files.items()}
    assert versions["2020-02"] == 1 and versions["2020-03"] == versions["2020-04"] == 2
    assert all(("zxygdl" in f.header) == (f.schema_version == 2) for f in files.values())
    got = [key(json.loads(row)) for _, row in landed_rows(place, "electricity__daily_usage")]
    assert_complete(systems, got, "electricity.daily_usage", "2020-05-10")
    assert outcome["records"]["electricity__daily_usage"] == len(got)


def test_a_past_date_takes_files_and_pages_of_its_own_past_only(systems: Systems, tmp_path: Path) -> None:
    """Backfill: the source's today is long after; days pulled one by one end as one late pull does."""
    systems.today("2020-05-20")
    place = systems.place(tmp_path, "lakehouse")
    with place.entered():
        for day in ("2019-06-10", "2019-06-11", "2019-09-01", "2020-05-20"):
            outcome = runner.pull(day, contracts.load(get_settings().contracts_dir / "courts__case.yaml"))
            assert outcome.error is None
        first = landing.landed()[0]
    files = [f.name for f in first.files if f.format == "csv"]
    assert len(files) >= 3 and set(files) <= {f"cases-2019-{month:02d}.csv.gz" for month in range(1, 6)}
    assert [f.format for f in first.files].count("json") <= 1  # the page that straddles midnight
    rows = [key(json.loads(row)) for _, row in landed_rows(place, "courts__case")]
    assert_complete(systems, rows, "courts.cases", "2020-05-20")


def killed_pulls_land_what_undisturbed_ones_do(systems: Systems, folder: Path, kills: int, seed: int) -> int:
    """Pulls of two dates, the second with the page of the first; returns how many were killed."""
    systems.today("2020-05-20")
    departments = ("government__electricity", "market")
    pulls = [(day, department) for day in ("2020-05-10", "2020-05-20") for department in departments]
    undisturbed, killed = systems.place(folder, "undisturbed"), systems.place(folder, f"killed-{seed}")
    endings = run_all(undisturbed, pulls)
    done = kill_and_finish(killed, pulls, endings, kills, seed)
    for name in ("electricity__daily_usage", "electricity__account", "market__price"):
        rows = landed_rows(undisturbed, name)
        assert rows and landed_rows(killed, name) == rows
    return done


def test_killed_pulls_end_as_an_undisturbed_one(systems: Systems, tmp_path: Path) -> None:
    assert killed_pulls_land_what_undisturbed_ones_do(systems, tmp_path, kills=3, seed=1) >= 2
