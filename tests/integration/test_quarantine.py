"""Quarantine: rows held back go through after their contract is mended, known from the day they were let in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse import engine, ledger, tables
from lakehouse.errors import ConfigError
from lakehouse.settings import Settings, get_settings
from spark_jobs import bronze, landing, quarantine
from tests.drops import drop, invoice, publish_builds, sound_sales

pytestmark = pytest.mark.engine
SALES, CONTRACT = "bronze.gov_tax__sale_invoice", "gov_tax__sale_invoice"


def ingest(partition: str) -> None:
    landing.land(partition)
    bronze.build(partition)
    with engine.session() as spark:
        publish_builds(spark, "bronze", partition)


def test_held_rows_are_released_after_a_fix(
    lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surplus = (*invoice(number=902), "surplus")
    awkward = invoice(number=901, status="红冲发票", party="B9", day=" 2019/1/5")
    drop("2020-03-01", sales=[*sound_sales(150), awkward, surplus, invoice(number=903, total="999.00")])
    ingest("2020-03-01")

    # the feed's new status gets its code
    shutil.copytree(lakehouse.contracts_dir, tmp_path / "contracts")
    path = tmp_path / "contracts" / f"{CONTRACT}.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("{有效发票: valid,", "{有效发票: valid, 红冲发票: valid,"))
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    get_settings.cache_clear()

    with pytest.raises(ConfigError, match="no contract 'nothing'"):
        quarantine.release("nothing", "2020-04-01", "ann", "")
    (lakehouse.inbox_dir / "2020-04-09").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="is a link"):
        quarantine.release(CONTRACT, "2020-04-09", "ann", "")
    first = quarantine.release(CONTRACT, "2020-04-01", "ann", "the code was new", "unknown_code:status")
    assert first["rows"] == 1
    second = quarantine.release(CONTRACT, "2020-04-01", "ann", "try the others too")
    assert second["rows"] == 2 and second["file"] != first["file"]
    assert quarantine.release(CONTRACT, "2020-04-01", "ann", "again") == {"rows": 0, "file": None}
    drop("2020-04-01", sales=sound_sales(150, start=2000))
    ingest("2020-04-01")

    with engine.session() as spark:
        account = ledger.batches(spark).where("partition = '2020-04-01'").collect()[0]
        assert (account["rows_in"], account["rows_accepted"], account["rows_quarantined"]) == (153, 151, 2)
        released = tables.read(spark, SALES).where("invoice_number = '901'")
        facts = released.selectExpr("status", "cast(known_at AS string)", "known_at_is_assumed", "disposition")
        assert [tuple(r) for r in facts.collect()] == [("valid", "2020-04-01 00:00:00", False, "accepted")]
        # what still breaks a rule is held again, as it came, and now from the later drop
        held = quarantine.held(spark, CONTRACT).orderBy("source_file", "row_number").collect()
        assert {(r["received_on"].isoformat(), *sorted(r["reasons"])) for r in held} == {
            ("2020-04-01", "malformed_line"), ("2020-04-01", "total_mismatch"),
        }  # fmt: skip
        assert [r["raw_line"] for r in held if r["raw_line"]] == [",".join(surplus)]
        assert quarantine.held(spark, CONTRACT, "total_mismatch").count() == 1
        assert quarantine.held(spark, "bank__loan").count() == 0
        noted = (
            spark.table(f"{lakehouse.schema_name('control')}.release").orderBy("released_at", "row_number").collect()
        )
        assert [(r["row_number"], r["released_by"], r["reason"]) for r in noted] == [
            (151, "ann", "the code was new"), (152, "ann", "try the others too"), (153, "ann", "try the others too"),
        ]  # fmt: skip
