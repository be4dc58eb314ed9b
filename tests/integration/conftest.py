"""Small drops made by the built-in source, and the main job run by its functions, without the scheduler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse import engine, tables
from lakehouse.settings import PROJECT_DIR, get_settings

FIRST_DROP, SECOND_DROP = "2024-01-01", "2024-02-01"


def generate(*arguments: str) -> None:
    """Runs the built-in source as the separate program it is."""
    command = [sys.executable, "-m", "sources.invoice_generator", *arguments]
    subprocess.run(command, check=True, cwd=PROJECT_DIR, capture_output=True)


@pytest.fixture(scope="session")
def first_drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of some forty firms over three years, received on `FIRST_DROP`."""
    folder = tmp_path_factory.mktemp("drops") / "first"
    generate("--out", str(folder), "--firms", "40", "--years", "3", "--seed", "11")
    return folder


@pytest.fixture(scope="session")
def second_drop(first_drop: Path) -> Path:
    """The same firms' files again, one invoice in a hundred changed, received on `SECOND_DROP`."""
    folder = first_drop.parent / "second"
    generate("--revise-from", str(first_drop), "--share", "0.01", "--seed", "5", "--out", str(folder))
    return folder


def run_main_job(partition: str, folder: Path) -> None:
    """Landing to published features, step by step as the scheduler would."""
    from expectations.gate import gate
    from spark_jobs import bronze, features, landing, silver
    from spark_jobs.identity import job as identity

    landing.land(partition, folder)
    bronze.build(partition)
    gate("bronze", partition)
    silver.build(partition)
    identity.build(partition)
    gate("silver", partition)
    features.build(partition)
    gate("gold", partition)


def approve_restatements() -> None:
    """Lets invoices change the past of every firm, as a drop with one changed invoice in a hundred does."""
    from lakehouse import waivers

    waivers.add("silver.vat_invoice", "restatement_within_limit", "anna", "a revised drop", "2099-12-31")


@pytest.fixture(scope="session")
def two_drops(running_engine: None, first_drop: Path, second_drop: Path) -> dict:
    """The job run on both drops, in one lakehouse; what readers saw after each."""
    patch = pytest.MonkeyPatch()
    patch.setenv("VINELAKE_ENVIRONMENT", "mainjob")
    get_settings.cache_clear()
    seen = {}
    for name, partition, folder in (("first", FIRST_DROP, first_drop), ("second", SECOND_DROP, second_drop)):
        if name == "second":
            approve_restatements()
        run_main_job(partition, folder)
        with engine.session() as spark:
            seen[name] = tables.read(spark, "gold.enterprise_features").toPandas()
            seen[f"{name}_hash"] = all_hashes(spark)
            seen[f"{name}_manifest"] = tables.current_manifest()
    patch.undo()
    get_settings.cache_clear()
    return seen


def all_hashes(spark) -> dict[str, str]:
    """The content hash of every published table."""
    return {t: tables.content_hash(tables.read(spark, t)) for t in tables.current_manifest().versions}
