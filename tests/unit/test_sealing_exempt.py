"""Personal columns that in some rows are nobody's: an enterprise among shareholders keeps its code, persons do not."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import contracts
from lakehouse.settings import PROJECT_DIR
from lakehouse.vault import Item
from spark_jobs.pull import sealing_csv, sealing_json, sealing_parquet
from spark_jobs.pull.sealing_plan import plan

HOLDER = contracts.load(PROJECT_DIR / "contracts" / "business_registry__shareholder.yaml")
CHANGE = contracts.load(PROJECT_DIR / "contracts" / "business_registry__change.yaml")
PERSON, FIRM = "330106197001010011", "91330106MA2K00001X"
ROWS = [
    {"ztbh": "1", "gdmc": "张三", "gdlx": "2", "gdzjhm": PERSON},
    {"ztbh": "1", "gdmc": "杭州示例机械有限公司", "gdlx": "1", "gdzjhm": FIRM},
    {"ztbh": "1", "gdmc": "李四", "gdlx": "9", "gdzjhm": "91330106MA2K00002X"},
    {"ztbh": "1", "gdmc": "王五", "gdlx": None, "gdzjhm": "91330106MA2K00003X"},
    {"ztbh": "1", "gdmc": "赵六", "gdlx": " 1 ", "gdzjhm": "91330106MA2K00004X"},
]
SEALED = [True, False, True, True, False]


def seal(items: list[Item]) -> list[str]:
    return [f"sealed<{item.kind}>" for item in items]


def in_json() -> list[dict]:
    document = json.dumps({"data": ROWS}, ensure_ascii=False).encode()
    return json.loads(sealing_json.seal_document(document, "data", plan(HOLDER, 1), seal, "here"))["data"]


def in_lines() -> list[dict]:
    source, target = io.BytesIO("".join(json.dumps(row) + "\n" for row in ROWS).encode()), io.BytesIO()
    sealing_json.seal_lines(source, target, plan(HOLDER, 1), seal)
    return [json.loads(line) for line in target.getvalue().splitlines()]


def in_csv() -> list[dict]:
    lines = ["ztbh,gdmc,gdlx,gdzjhm", *(",".join(v or "" for v in row.values()) for row in ROWS)]
    source, target = io.StringIO("\n".join(lines) + "\n"), io.StringIO()
    sealing_csv.seal_rows(source, target, ",", plan(HOLDER, 1), seal, "here")
    head, *rows = target.getvalue().splitlines()
    return [dict(zip(head.split(","), row.split(","), strict=True)) for row in rows]


def in_parquet(tmp_path: Path) -> list[dict]:
    source, target = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), source)
    source.seek(0)
    sealing_parquet.seal_table(source, target, plan(HOLDER, 1), seal, "here")
    return pq.read_table(io.BytesIO(target.getvalue())).to_pylist()


@pytest.mark.parametrize("form", ["json", "lines", "csv", "parquet"])
def test_what_is_no_person_s_stays_and_whatever_is_not_said_to_be_is_sealed(form: str, tmp_path: Path) -> None:
    rows = {"json": in_json, "lines": in_lines, "csv": in_csv, "parquet": lambda: in_parquet(tmp_path)}[form]()
    for sent, kept, is_sealed in zip(ROWS, rows, SEALED, strict=True):
        for name, kind in (("gdmc", "person_name"), ("gdzjhm", "identity_number")):
            assert kept[name] == (f"sealed<{kind}>" if is_sealed else sent[name]), (name, sent)


def test_a_change_of_legal_person_is_sealed_and_a_change_of_name_is_not() -> None:
    rows = [{"bgsx": "legal_person", "bgqnr": "张三"}, {"bgsx": "renamed", "bgqnr": "甲公司"}, {"bgqnr": "李四"}]
    document = json.dumps(rows, ensure_ascii=False).encode()
    kept = json.loads(sealing_json.seal_document(document, "", plan(CHANGE, 1), seal, "here"))
    assert [row["bgqnr"] for row in kept] == ["sealed<person_name>", "甲公司", "sealed<person_name>"]
