"""An erased person and an erased enterprise: found by the search before, nowhere after; all else is what it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from expectations.gate import gate
from lakehouse import consents, contracts, engine, tables
from lakehouse.contracts import Contract
from lakehouse.erasure import certificate, needles, search
from lakehouse.settings import PROJECT_DIR, Settings, get_settings
from lakehouse.vault import open_vault
from ml import decisions
from ml import erasure as samples
from ml import snapshot as snapshots
from ml.training import datasets_dir
from spark_jobs import bronze, bronze_files, bronze_rows, erasure, landing
from spark_jobs.verify import verify as verify_landing
from tests import persons

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif("VINELAKE_TORTURE" not in os.environ, reason="long: set VINELAKE_TORTURE=1"),
]
DAY = "2020-03-01"
TABLE, OWNERS, FORMER = "bronze.people__person", "silver.owner", "silver.former_owner"
PLAIN, NOTES = "silver.firm_count", "control.note"
FIRM, FIRM_PHONE = "91330106MA2ABCDE3G", "0571-88776655"
REQUEST = {"author": "anna", "reason": "request 17", "ground": "PIPL art. 47"}
PHONE = "      - {name: firm_phone, logicalType: string, classification: personal, customProperties: [{property: tokenKind, value: phone}]}\n"  # noqa: E501
FIELDS = (*persons.FIELDS, "firm_phone")


class Killed(BaseException):
    """Stands for the end of the process at a step."""


@pytest.fixture
def people(lakehouse: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contract:
    (tmp_path / "lakehouse").symlink_to(PROJECT_DIR / "lakehouse")
    monkeypatch.setenv("VINELAKE_PROJECT_DIR", str(tmp_path))
    get_settings.cache_clear()
    persons.contract(tmp_path / "contracts")
    path = tmp_path / "contracts" / "people__person.yaml"
    path.write_text(path.read_text(encoding="utf-8") + PHONE, encoding="utf-8")
    return contracts.load(path)


def sent() -> list[dict]:
    """Forty records; of the third person two, and the fifth bears the same name. One firm has a telephone."""
    found = [{**r, "number": f"99{r['number'][2:]}", "firm_phone": None} for r in persons.people(40)]
    found[7] |= {"name": found[3]["name"], "number": found[3]["number"]}
    found[5] |= {"name": found[3]["name"]}
    found[9] |= {"firm": FIRM, "firm_phone": FIRM_PHONE}
    return found


def land(contract: Contract, records: list[dict]) -> None:
    """Seals, lands, builds and publishes records as a pull and the day's run do."""
    persons.land(contract, DAY, records, FIELDS)
    bronze.build(DAY)
    gate("bronze", DAY)


def derive(spark, token: str) -> None:
    """What stands downstream of bronze: tables with tokens, one that held one in an old version only, one without any;
    and a ledger that quotes a token."""
    frame = tables.read(spark, TABLE)
    owners = frame.selectExpr("record_id", "person_number AS owner", "person_name AS name", "capital")
    tables.overwrite(owners, OWNERS)
    tables.overwrite(owners, FORMER)
    tables.overwrite(owners.where(f"owner <> '{token}'"), FORMER)
    tables.overwrite(frame.groupBy("firm_key").count(), PLAIN)
    made = {t: tables.build_version(t) for t in (OWNERS, FORMER, PLAIN)}
    tables.publish(spark, made, "test", DAY)
    name = tables.ensure_control_table(spark, "note", "record string, said string")
    said = frame.selectExpr("record_id AS record", "concat('owner ', person_number) AS said")
    said.write.format("delta").mode("append").saveAsTable(name)


def freeze(spark) -> snapshots.Snapshot:
    """A sample of seven firms and one that is to be erased, and the version of a model that was trained on it."""
    firms = [*(f"F{i}" for i in range(7)), FIRM]
    rows = pd.DataFrame({"enterprise_id": firms, "is_bad": [False] * 7 + [True], "share": range(8)})
    rows["as_of"] = pd.Timestamp("2020-03-01")
    sample = snapshots.freeze(rows, {"target_fingerprint": "t", "query_date": DAY}, datasets_dir())
    facts = {"partition": DAY, "model": "m", "version": "1", "action": decisions.REGISTER, "actor": "anna"}
    evidence = json.dumps({"snapshot_id": sample.snapshot_id})
    decisions.record(decisions.DeltaLedger(), **facts, outcome="registered", evidence=evidence)
    return sample


def others(spark, table: str, marks: Iterable[str]) -> str:
    """The hash of the rows of a table that hold none of the texts in any cell."""
    frame = tables.read(spark, table) if table != NOTES else spark.table(tables.published_name(table))
    cells = " || ".join(f"coalesce(to_json(struct(`{c}`)), '')" for c in frame.columns)
    return tables.content_hash(frame.where(" AND ".join(f"NOT contains({cells}, '{m}')" for m in marks)))


def places(value: str) -> set[str]:
    """In which folders of the lakehouse a value, of which nothing need be sealed, stands."""
    found = search.look(erasure.folders(), needles.of([value])).findings
    return {f.path.relative_to(get_settings().home).parts[0] for f in found}


def test_the_erased_are_nowhere_and_all_else_is_what_it_was(people: Contract) -> None:
    records, steps = sent(), []
    person, number = records[3], records[3]["number"]
    land(people, [*records, {**person, "record_id": "R777"}, {**person, "record_id": "R888", "capital": "much"}])
    with open_vault() as vault:
        token = vault.find("identity_number", number, "test")
        phone = vault.find("phone", FIRM_PHONE, "test")
        shared = vault.find("person_name", person["name"], "test")
        assert token and phone and shared
    paper = (FIRM, "a firm", "loan_approval", "2020-01-01", "2030-01-01", "paper", "e1")
    consent = consents.give(dict(zip(consents.COLUMNS, paper, strict=True)))
    report, log = get_settings().reports_dir / "gate.json", get_settings().log_dir / "erasure-test.log"
    for path, text in ((report, f'{{"worst": "{token}"}}\n'), (log, f"row of {number} came\n")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with engine.session() as spark:
        derive(spark, token)
        sample = freeze(spark)
        before = {t: others(spark, t, (token, phone, number)) for t in (TABLE, OWNERS, FORMER, PLAIN, NOTES)}
        counts = {t: tables.read(spark, t).count() for t in (TABLE, OWNERS, FORMER, PLAIN)}
        names = tables.read(spark, TABLE).where(f"person_name = '{shared}'").count()
        plain = tables.current_manifest().versions[PLAIN]

    home = get_settings().home
    found = erasure.verify([number])
    assert {f.part for f in found.findings} == {"bytes", "sealed value"}
    assert {f.path.relative_to(home).parts[0] for f in found.findings} == {"logs", "landing"}
    assert {"warehouse", "landing", "reports"} <= {p.split("-")[0] for p in places(token)}
    shown = erasure.preview("person", [number], samples.count)
    rows = {row["table"]: row["rows"] for row in shown["tables"]}
    assert rows == {TABLE: 3, OWNERS: 3, FORMER: 0, "quarantine.record": 1, tables.published_name(NOTES): 3}
    assert (shown["keys"], shown["sealed_under_other_keys"]) == (1, 0)

    # Killed when the keys were gone, then when the tables were published, and gone on from there.
    for kill_at in ("begun", "published", None):

        def step(name: str, kill_at: str | None = kill_at) -> None:
            steps.append(name)
            if name == kill_at:
                raise Killed

        try:
            if kill_at == "begun":
                erasure.erase("person", [number], REQUEST, samples.strip, samples.models, step)
            else:
                done = erasure.resume(samples.strip, samples.models, step)
        except Killed:
            continue
    assert {"begun", "published", f"purged {FORMER}", "files"} <= set(steps)
    firm = erasure.erase("enterprise", [FIRM], REQUEST, samples.strip, samples.models)
    for body in (*done, firm):
        assert body["is_complete"], body["remaining"]
        assert all(text not in json.dumps(body) for text in (number, token, phone, FIRM_PHONE, FIRM, person["name"]))

    assert [c.revoked_on is not None for c in consents.known() if c.id == consent.id] == [True]
    for value in (number, FIRM_PHONE):
        left = erasure.verify([value])
        assert (left.findings, left.unread) == ([], []) and left.files > 50
    assert places(token) <= {"landing"} and places(phone) <= {"landing"}
    assert not verify_landing()[0]
    with engine.session() as spark:
        marks = [f"erased_{body['erasure']}" for body in (*done, firm)]
        assert {t: others(spark, t, marks) for t in before} == before
        assert {t: tables.read(spark, t).count() for t in counts} == counts
        assert tables.current_manifest().versions[PLAIN] == plain
        marked = tables.read(spark, TABLE).where(f"person_number = '{marks[0]}' AND person_name = '{marks[0]}'")
        assert sorted(r["record_id"] for r in marked.collect()) == ["R000003", "R000007", "R777"]
        assert tables.read(spark, TABLE).where(f"person_name = '{shared}'").count() == names - 3 == 1
        assert [body["erasure"] for body in certificate.verified()] == [done[0]["erasure"], firm["erasure"]]

    left = snapshots.load(sample.path)
    assert FIRM not in set(left.rows()["enterprise_id"]) and len(left.rows()) == 7
    assert firm["snapshots"][0]["row_hash_before"] == sample.manifest["row_hash"] == left.manifest["row_hash"]
    assert firm["models"] == [{"model": "m", "version": "1", "snapshot": sample.snapshot_id}]

    # A second time nothing is held; what is read from landing again bears the mark.
    assert erasure.erase("person", [number], REQUEST, samples.strip, samples.models) is None
    batch = landing.landed()[0]
    with engine.session() as spark:
        delivery = bronze_rows.Delivery((batch,), people, batch.received_on)
        again = bronze_rows.sound(spark, delivery, bronze_files.record_files([batch]), False)
        assert again.where(f"person_number = '{marks[0]}'").count() == 3
        assert again.where(f"firm_phone = '{marks[1]}'").count() == 1
