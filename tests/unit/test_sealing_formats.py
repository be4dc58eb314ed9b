"""Sealing of parts: in every format nothing personal stays clear, nothing else is changed, and a repeat is the same."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import contracts
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError, SourceError
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.vault import forms, open_vault
from spark_jobs.pull import sealing, sealing_csv, sealing_json
from spark_jobs.pull.part import Part
from tests import persons

WHY = "a test of sealing"


@pytest.fixture
def people(settings: Settings, tmp_path: Path) -> Contract:
    return persons.contract(tmp_path / "contracts")


def seal(contract: Contract, body: bytes | Path, form: str, name: str = "", version: int = 1) -> sealing.Sealed:
    with sealing.sealer(contract) as each:
        return each(Part(name or f"part.{form}", body, form, 0, persons.FIELDS, {}, version))


def opened(text: str) -> str:
    with open_vault() as vault:
        return vault.open(text, WHY)


def assert_sealed(got: dict[str, Any], sent: dict[str, Any]) -> None:
    """A record is as it was sent, but for its two personal fields, which open to what was sent."""
    personal = {"name", "number"}
    assert {k: v for k, v in got.items() if k not in personal} == {k: v for k, v in sent.items() if k not in personal}
    assert {k: opened(got[k]) for k in personal} == {k: sent[k] for k in personal}


def test_a_contract_without_personal_fields_passes_through_and_needs_no_vault(settings: Settings) -> None:
    plain = contracts.load(settings.contracts_dir / "bank__loan.yaml")
    sealed = seal(plain, b"anything", "jsonl")
    assert (sealed.part.body, sealed.received_sha256) == (b"anything", None)
    assert not settings.vault_dir.exists() and not settings.master_key_file.exists()


def test_lines(people: Contract) -> None:
    sent = persons.people(30)
    body = persons.lines(sent)
    sealed = seal(people, body, "jsonl")
    got = [json.loads(line) for line in sealed.part.body.splitlines()]
    for one, other in zip(got, sent, strict=True):
        assert_sealed(one, other)
    assert sealed.received_sha256 == hashlib.sha256(body).hexdigest()
    assert got[0]["number"] == got[1]["number"]  # one person twice: joinable
    assert seal(people, body, "jsonl") == sealed


def test_other_values_of_a_line_keep_their_spelling(people: Contract) -> None:
    rest = '"record_id":"R\\u0031","firm":"F/\\/1","capital":12.5000'
    line = f'{{"name":"\\u5f20\\u4e09",{rest},"number":"3301"}}\r\n'.encode()
    (got,) = seal(people, line, "jsonl").part.body.splitlines(keepends=True)
    assert rest.encode() in got and got.endswith(b"}\r\n")
    assert opened(json.loads(got)["name"]) == "张三"


@pytest.mark.parametrize("value", ["null", '""', '"  "'])
def test_an_empty_value_stays_empty(people: Contract, value: str) -> None:
    line = f'{{"record_id":"R1","firm":"F1","name":{value},"number":"3301"}}\n'.encode()
    got = json.loads(seal(people, line, "jsonl").part.body)
    assert got["name"] == json.loads(value) and opened(got["number"]) == "3301"


@pytest.mark.parametrize("value", ["13800000001", "true", '{"first":"三"}', '["张","三"]'])
def test_a_personal_value_of_any_type_is_sealed(people: Contract, value: str) -> None:
    line = f'{{"record_id":"R1","firm":"F1","name":{value},"number":3301}}\n'.encode()
    got = json.loads(seal(people, line, "jsonl").part.body)
    assert (opened(got["name"]), opened(got["number"])) == (value, "3301")


def test_whoever_is_not_identified_is_sealed_all_the_same(people: Contract) -> None:
    line = '{"record_id":"R1","firm":"F1","name":"张三"}\n'.encode()
    got = json.loads(seal(people, line, "jsonl").part.body)
    assert opened(got["name"]) == "张三"
    with open_vault() as vault:
        assert vault.forget("person_name", "张三", WHY)  # the value stands for its person


def test_a_field_that_the_contract_does_not_know_is_sealed(people: Contract) -> None:
    line = '{"record_id":"R1","firm":"F1","name":"张三","mobile":"13800000001","kin":{"name":"李四"},"old":null}\n'
    got = json.loads(seal(people, line.encode(), "jsonl").part.body)
    assert opened(got["mobile"]) == "13800000001" and json.loads(opened(got["kin"])) == {"name": "李四"}
    assert got["old"] is None and got["firm"] == "F1"


def test_fields_stated_to_be_harmless_stay(settings: Settings, tmp_path: Path) -> None:
    knowing = persons.contract(tmp_path / "contracts", options={"ignore": ["remark", "page.size"]})
    line = '{"record_id":"R1","name":"张三","remark":"x","page":{"size":3,"by":"李四"},"_offset":7,"_key":"李四"}\n'
    got = json.loads(seal(knowing, line.encode(), "jsonl").part.body)
    assert (got["remark"], got["page"]["size"], got["_offset"]) == ("x", 3, 7)
    assert [opened(text) for text in (got["page"]["by"], got["_key"])] == ["李四", "李四"]


def test_a_renamed_field_is_sealed_under_the_name_of_its_version(people: Contract) -> None:
    line = '{"record_id":"R1","firm":"F1","full_name":"张三","number":"3301"}\n'.encode()
    for version in (1, 2, 3):
        got = json.loads(seal(people, line, "jsonl", version=version).part.body)
        assert opened(got["full_name"]) == "张三"
        assert forms.TOKEN.fullmatch(forms.token_of(got["full_name"]))[0].startswith("tok1_person_name_")


PERSONAL = [c for c in contracts.load_all(PROJECT_DIR / "contracts").values() if c.personal_columns]


@pytest.mark.parametrize("contract", PERSONAL, ids=lambda c: c.id)
def test_records_of_every_contract_keep_all_but_what_is_personal(settings: Settings, contract: Contract) -> None:
    values = {c.source_name: f"值{i}号" for i, c in enumerate(contract.columns)}
    personal = {c.source_name: c.token_kind or c.name for c in contract.personal_columns}
    record: dict[str, Any] = {}
    for name, value in values.items():
        *steps, last = name.split(".")
        place = record
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = value
    sealed = json.loads(seal(contract, persons.lines([record]), "jsonl").part.body)
    table = rows(",".join(values.values()), header=",".join(values))
    (cells,) = csv.DictReader(io.StringIO(seal(contract, table, "csv").part.body.decode()))
    for name, value in values.items():
        got = reduce(lambda place, step: place[step], name.split("."), sealed)
        assert got == cells[name]
        if name in personal:
            assert opened(got) == value and f"_{personal[name]}_" in forms.token_of(got)
        else:
            assert got == value


SHAREHOLDERS = [  # who holds shares, and whether the record says that it is no person
    ({"gdlx": "1", "gdmc": "杭州示例有限公司", "gdzjhm": "91330106MA2K00001X"}, True),
    ({"gdlx": "2", "gdmc": "张三", "gdzjhm": "330106197001010011"}, False),
    ({"gdlx": "9", "gdmc": "李四", "gdzjhm": "330106197001010022"}, False),
    ({"gdlx": None, "gdmc": "李四", "gdzjhm": "330106197001010022"}, False),
]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_what_a_record_says_is_no_persons_stays(settings: Settings, form: str) -> None:
    contract = contracts.load(PROJECT_DIR / "contracts" / "business_registry__shareholder.yaml")
    sent = [record for record, _ in SHAREHOLDERS]
    if form == "jsonl":
        got = [json.loads(line) for line in seal(contract, persons.lines(sent), form).part.body.splitlines()]
    elif form == "csv":
        body = rows(*(",".join(v or "" for v in r.values()) for r in sent), header=",".join(sent[0]))
        got = list(csv.DictReader(io.StringIO(seal(contract, body, form).part.body.decode())))
    else:
        got = pq.read_table(io.BytesIO(seal(contract, parquet(pa.Table.from_pylist(sent)), form).part.body)).to_pylist()
    for one, (other, stays) in zip(got, SHAREHOLDERS, strict=True):
        for field in ("gdmc", "gdzjhm"):
            assert one[field] == other[field] if stays else opened(one[field]) == other[field]


POISON = ["张三 {not json", '["张三"]', '"张三"', '{"name":"张三"', '{"name":NaN,"x":"张三"}', "\ufeff{}张三"]


@pytest.mark.parametrize("line", POISON)
def test_a_line_that_is_no_record_is_sealed_whole(people: Contract, line: str) -> None:
    good = persons.lines(persons.people(2))
    got = seal(people, good + line.encode() + b"\n" + good, "jsonl").part.body.splitlines()
    assert len(got) == 5
    assert opened(got[2].decode()) == line
    assert json.loads(got[0])["record_id"] == json.loads(got[3])["record_id"] == "R000000"


def test_bytes_that_are_no_text_are_sealed_too(people: Contract) -> None:
    got = seal(people, b'\xff\xfe\n{"record_id":"R1","name":"\xff","firm":"\xff"}\n', "jsonl").part.body.splitlines()
    assert opened(got[0].decode()).encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert b"sealed:1:tok1_person_name_" in got[1] and b'"firm":"\xff"' in got[1]


@pytest.mark.parametrize("listed", ["[]", '[{"person":{"name":"张三","age":3}},{"person":7}]'])
def test_nested_fields(settings: Settings, tmp_path: Path, listed: str) -> None:
    nested = persons.contract(tmp_path / "contracts", prefix="payload.person.")
    sent = (
        f'{{"record_id":"R1","payload":{{"person":{{"name":"张三","number":"3301","firm":"F1","iq":9}},"l":{listed}}}}}'
    )
    got = json.loads(seal(nested, sent.encode() + b"\n", "jsonl").part.body)
    person = got["payload"]["person"]
    assert (opened(person["name"]), person["firm"], opened(person["iq"])) == ("张三", "F1", "9")
    assert json.loads(opened(got["payload"]["l"])) == json.loads(listed)
    several = f'{{"record_id":"R1","payload":{listed}}}'
    got = json.loads(seal(nested, several.encode() + b"\n", "jsonl").part.body)
    assert "张三" not in json.dumps(got, ensure_ascii=False)
    assert [opened(e["person"]["name"]) for e in got["payload"][:1]] == ["张三"] * bool(got["payload"])


def document(records: Any, **more: Any) -> bytes:
    return json.dumps({"page": 1, "data": {"total": 2, "items": records}, **more}, ensure_ascii=False).encode()


def test_documents(settings: Settings, tmp_path: Path) -> None:
    contract = persons.contract(tmp_path / "contracts", options={"records": "data.items"})
    sent = persons.people(5)
    got = json.loads(seal(contract, document(sent), "json").part.body)
    assert (got["page"], got["data"]["total"]) == (1, 2)
    for one, other in zip(got["data"]["items"], sent, strict=True):
        assert_sealed(one, other)
    (single,) = persons.people(1)
    assert_sealed(json.loads(seal(contract, document(single), "json").part.body)["data"]["items"], single)
    assert json.loads(seal(contract, document([]), "json").part.body)["data"]["items"] == []
    zipped = seal(contract, gzip.compress(document(sent)), "json", "page.json.gz").part.body
    assert json.loads(gzip.decompress(zipped)) == got


@pytest.mark.parametrize("shape", ["list", "record"])
def test_a_document_may_be_the_records_themselves(people: Contract, shape: str) -> None:
    (sent,) = persons.people(1)
    got = json.loads(
        seal(people, persons.lines([sent]) if shape == "record" else b"[%s]" % persons.lines([sent]), "json").part.body
    )
    assert_sealed(got[0] if shape == "list" else got, sent)


def test_what_a_document_repeats_around_its_records_is_sealed(settings: Settings, tmp_path: Path) -> None:
    contract = persons.contract(tmp_path / "contracts", options={"records": "data.items"})
    (sent,) = persons.people(1)
    body = document([sent], asked={"who": sent["number"]}, next=f"/people?number={sent['number']}", server="s1")
    got = json.loads(seal(contract, body, "json").part.body)
    assert (opened(got["next"]), got["server"]) == (f"/people?number={sent['number']}", "s1")
    assert json.loads(opened(got["asked"])) == {"who": sent["number"]}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b'{"data":{}}', b'{"data":[1]}', b'{"data":{"items":3}}', b"null"]
)
def test_a_document_that_cannot_be_read_is_refused_without_its_content(
    settings: Settings, tmp_path: Path, body: bytes
) -> None:
    contract = persons.contract(tmp_path / "contracts", options={"records": "data.items"})
    with pytest.raises(SourceError, match="not the JSON") as refused:
        seal(contract, body, "json", "page-000001.json")
    assert refused.value.where == "people__person, page-000001.json"


HEADER = "record_id,firm,capital,name,number"


def rows(*lines: str, header: str = HEADER, end: str = "\n") -> bytes:
    return "".join(line + end for line in (header, *lines)).encode()


def test_comma_separated_rows(people: Contract) -> None:
    sent = persons.people(30)
    body = rows(*(",".join(str(v) for v in r.values()) for r in sent))
    sealed = seal(people, body, "csv")
    got = list(csv.DictReader(io.StringIO(sealed.part.body.decode())))
    for one, other in zip(got, sent, strict=True):
        assert_sealed(one, {**other, "capital": str(other["capital"])})
    assert seal(people, body, "csv") == sealed
    zipped = seal(people, gzip.compress(body), "csv", "rows.csv.gz").part.body
    assert gzip.decompress(zipped) == sealed.part.body


def test_cells_that_are_not_sealed_keep_quotes_blanks_and_line_ends(people: Contract) -> None:
    body = "\ufeff" + rows('"R,1","F ""1""", 7 ,"张,""三""",', 'R2,"",,"",3301', "", end="\r\n").decode()
    got = seal(people, body.encode(), "csv").part.body.decode().split("\r\n")
    assert got[0] == "\ufeff" + HEADER and got[3:] == ["", ""]
    assert got[1].startswith('"R,1","F ""1""", 7 ,sealed:1:') and got[1].endswith(",")
    assert got[2].startswith('R2,"",,"",sealed:1:')
    assert opened(got[1].split(",")[-2]) == '张,"三"'


@pytest.mark.parametrize("line", ["R1,F1,7,张三", "R1,F1,7,张三,3301,x", 'R1,F1,"7,张三,3301', 'R1,F1,"7"x,张三,3301'])
def test_a_row_that_does_not_fit_its_header_is_sealed_whole(people: Contract, line: str) -> None:
    got = seal(people, rows("R0,F0,1,李四,3302", line, "R2,F2,1,李四,3302"), "csv").part.body.decode().splitlines()
    assert opened(got[2]) == line
    assert [row.split(",")[0] for row in (got[1], got[3])] == ["R0", "R2"]


def test_a_header_that_names_nothing_known_is_refused(people: Contract) -> None:
    with pytest.raises(SourceError, match="header names no field"):
        seal(people, b"R1;F1;7;\xe5\xbc\xa0\xe4\xb8\x89;3301\n", "csv")


def test_another_encoding_and_delimiter(settings: Settings, tmp_path: Path) -> None:
    contract = persons.contract(tmp_path / "contracts", options={"delimiter": "|"})
    contract = contract.__class__(**{**contract.__dict__, "encoding": "gb18030"})
    body = "record_id|firm|capital|name|number\nR1|杭州|7|张三|3301\n".encode("gb18030")
    got = seal(contract, body, "csv").part.body.decode("gb18030").splitlines()[1].split("|")
    assert got[:3] == ["R1", "杭州", "7"] and opened(got[3]) == "张三"


def table(count: int, nested: bool = False) -> pa.Table:
    records = [
        {**r, "number": int(r["number"]), "at": pa.scalar(i, pa.timestamp("us")).as_py()}
        for i, r in enumerate(persons.people(count))
    ]
    if nested:
        records = [{"record_id": r.pop("record_id"), "payload": r if i % 5 else None} for i, r in enumerate(records)]
    return pa.Table.from_pylist(records)


def parquet(content: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink, compression="zstd")
    return sink.getvalue()


def test_parquet(settings: Settings, tmp_path: Path) -> None:
    contract = persons.contract(tmp_path / "contracts", options={"ignore": ["at"]})
    sent = table(30)
    sealed = seal(contract, parquet(sent), "parquet")
    got = pq.read_table(io.BytesIO(sealed.part.body))
    assert got.schema.field("number").type == pa.string()
    for name in ("record_id", "firm", "capital", "at"):
        assert got[name] == sent[name]
    for name in ("name", "number"):
        assert [opened(v) for v in got[name].to_pylist()] == [str(v) for v in sent[name].to_pylist()]
    assert seal(contract, parquet(sent), "parquet") == sealed
    empty = pq.read_table(io.BytesIO(seal(contract, parquet(sent.slice(0, 0)), "parquet").part.body))
    assert empty.schema == got.schema and empty.num_rows == 0
    with pytest.raises(SourceError, match="not sound Parquet"):
        seal(contract, parquet(sent)[:-9], "parquet")


def test_nested_parquet(settings: Settings, tmp_path: Path) -> None:
    contract = persons.contract(tmp_path / "contracts", prefix="payload.")
    sent = table(20, nested=True).to_pylist()
    got = pq.read_table(io.BytesIO(seal(contract, parquet(table(20, nested=True)), "parquet").part.body)).to_pylist()
    for one, other in zip(got, sent, strict=True):
        assert one["record_id"] == other["record_id"] and (one["payload"] is None) == (other["payload"] is None)
        if other["payload"]:
            assert one["payload"]["firm"] == other["payload"]["firm"]
            assert opened(one["payload"]["name"]) == other["payload"]["name"]
            assert opened(one["payload"]["at"]) == str(other["payload"]["at"])  # not in the contract


@pytest.mark.parametrize(("form", "packed"), [("jsonl", True), ("csv", False)])
def test_a_large_file_is_sealed_in_bounded_memory_and_its_clear_form_is_gone(
    people: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, packed: bool
) -> None:
    for module in (sealing_json, sealing_csv):
        monkeypatch.setattr(module, "CHUNK", 200)
    body = persons.lines(persons.people(200) * 100)
    if form == "csv":
        body = rows(*(",".join(map(str, r.values())) for r in persons.people(200) * 100))
    path = tmp_path / f"large.{form}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(body, 1) if packed else body)
    received = hashlib.sha256(path.read_bytes()).hexdigest()
    seal(people, persons.lines(persons.people(200)), "jsonl")  # what is loaded once
    tracemalloc.start()
    sealed = seal(people, path, form, path.name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    content = sealed.part.body.read_bytes()
    content = gzip.decompress(content) if packed else content
    assert content.count(b"sealed:1:") == 40_000 and len(content) > 6_000_000 > peak * 3
    assert sealed.received_sha256 == received
    assert not path.exists() and sealed.part.name == path.name
    assert persons.leaks(tmp_path, persons.clear_values(persons.people(3))) == []


@pytest.mark.parametrize("cut", [10, 40])
def test_a_truncated_gzip_is_refused(people: Contract, cut: int) -> None:
    with pytest.raises(SourceError, match="not a sound gzip"):
        seal(people, gzip.compress(persons.lines(persons.people(50)))[:-cut], "jsonl", "part.jsonl.gz")
    with pytest.raises(SourceError, match="not a sound gzip"):
        seal(people, b"no gzip at all", "jsonl", "part.jsonl.gz")


def test_a_format_that_nobody_can_read_is_not_kept_clear(people: Contract) -> None:
    with pytest.raises(ConfigError, match="cannot be sealed"):
        seal(people, b"%PDF", "pdf")


@pytest.fixture(autouse=True)
def nothing_in_the_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG")
    yield
    assert not any(word in record.getMessage() for record in caplog.records for word in ("张三", "李四", "3301"))
