"""An erased subject's rows leave a frozen sample, once, with both hashes noted; a kill in between is mended."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from lakehouse.cli import main
from lakehouse.errors import ModelError
from lakehouse.settings import Settings
from lakehouse.vault.erasing import Trail
from ml import erasure, snapshot
from ml.training import datasets_dir

TRAIL = Trail(("s",), ("tok1_phone_x",), (), (), ("E2",), (), 0)


def frozen(firms: list[str]) -> snapshot.Snapshot:
    rows = pd.DataFrame({"enterprise_id": firms, "is_bad": [i == 0 for i in range(len(firms))], "n": range(len(firms))})
    rows["as_of"] = pd.Timestamp("2020-03-01")
    return snapshot.freeze(rows, {"target_fingerprint": "t", "query_date": "2020-03-01"}, datasets_dir())


def test_rows_of_the_subject_go_once(settings: Settings) -> None:
    held, other = frozen(["E1", "E2", "E3"]), frozen(["E1", "E3"])
    assert erasure.count(TRAIL) == [{"snapshot": held.snapshot_id, "rows": 1}]
    notes = erasure.strip("a1", TRAIL)
    assert erasure.strip("a1", TRAIL) == notes and erasure.count(TRAIL) == []
    assert [(n["snapshot"], n["rows_removed"], n["row_hash_before"]) for n in notes] == [
        (held.snapshot_id, 1, held.manifest["row_hash"])
    ]
    left = snapshot.load(held.path).rows()
    assert list(left["enterprise_id"]) == ["E1", "E3"] and snapshot.row_hash(left) == notes[0]["row_hash_after"]
    assert "erasures" not in snapshot.load(other.path).manifest
    assert frozen(["E1", "E2", "E3"]).rows().equals(left), "frozen again, the sample is the one that is left"


def test_a_kill_between_manifest_and_rows_is_noticed_and_mended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = frozen(["E1", "E2", "E3"])
    replace = snapshot._replace

    def dies(path: Path, write) -> None:
        if path.name == snapshot.ROWS:
            raise KeyboardInterrupt
        replace(path, write)

    monkeypatch.setattr(snapshot, "_replace", dies)
    with pytest.raises(KeyboardInterrupt):
        erasure.strip("a1", TRAIL)
    with pytest.raises(ModelError, match="not what it was"):
        snapshot.load(held.path).rows()
    monkeypatch.setattr(snapshot, "_replace", replace)
    notes = erasure.strip("a1", TRAIL)
    assert notes[0]["row_hash_before"] == held.manifest["row_hash"]
    assert list(snapshot.load(held.path).rows()["enterprise_id"]) == ["E1", "E3"]


def test_the_command_asks_for_identifiers_reason_and_ground(settings: Settings) -> None:
    none = CliRunner().invoke(main, ["erase", "person"], input="\n")
    assert none.exit_code == 1 and "no identifier was given" in none.output
    why = CliRunner().invoke(main, ["erase", "person", "--confirm", "--reason", "x"], input="330106197001010011\n")
    assert why.exit_code == 1 and "ground" in why.output and "330106197001010011" not in why.output
    missing = CliRunner().invoke(main, ["erase", "verify", "abc"], input="330106197001010011\n")
    assert missing.exit_code == 1 and "no such certificate" in missing.output
