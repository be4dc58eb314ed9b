"""Drafts of contracts from samples: types, keys, personal data, and a text that holds once its TODOs are filled."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from contracting import draft, personal, sample
from contracting.profile import keys, profiles
from lakehouse import contracts
from lakehouse.cli import main
from lakehouse.cli.contracts import _options
from lakehouse.contracts import Contract
from lakehouse.errors import ConfigError, SourceError
from lakehouse.settings import get_settings

HEAD = "发票号码,开票日期,价税合计,状态,法定代表人,身份证号,手机号,备注"
# Identity numbers with a right check digit, of nobody.
ID_NUMBERS = ["330200198707106102", "410100195908039170", "410100196506117484"]


def csv_rows(count: int = 40) -> str:
    names = ["王小明", "李芳", "张伟强"]
    lines = [HEAD]
    for n in range(count):
        person = n % 3
        lines.append(
            f'{10000000 + n},2024-03-{1 + n % 28:02d},"{1000 + n:,}.50",{"正常" if n % 2 else "作废"},{names[person]},'
            f"{ID_NUMBERS[person]},1380000{n:04d},{'x' * (n % 5)}"
        )
    return "\n".join(lines) + "\n"


def load(text: str, tmp_path: Path, contract_id: str) -> Contract:
    path = tmp_path / f"{contract_id}.yaml"
    path.write_text(text, encoding="utf-8")
    return contracts.load(path)


@pytest.fixture
def invoices(tmp_path: Path) -> Path:
    path = tmp_path / "invoices_202403.csv"
    path.write_text(csv_rows(), encoding="utf-8")
    return path


def test_a_csv_becomes_a_contract_of_files_that_loads(invoices: Path, tmp_path: Path) -> None:
    found = sample.of_file(invoices, 1000)
    contract = load(draft.draft(found, "shop__invoice"), tmp_path, "shop__invoice")
    types = {c.source_name: (c.name, c.spark_type) for c in contract.columns}
    assert types["发票号码"] == ("invoice_number", "string"), "a number of fixed length is a name, not an amount"
    assert types["开票日期"] == ("issued_on", "date")
    assert types["价税合计"] == ("amount_incl_tax_cny", "decimal(18,2)")
    assert contract.column("amount_incl_tax_cny").group_separator == ","
    assert contract.column("status").codes == {"正常": "正常", "作废": "作废"}
    assert contract.keys == ("invoice_number",)
    assert contract.file_pattern == "invoices_*.csv" and contract.feed is None
    assert not contract.column("remark").required and contract.column("issued_on").required


def test_personal_columns_are_flagged_and_sealed_only_in_a_feed(invoices: Path, tmp_path: Path) -> None:
    dropped = draft.draft(sample.of_file(invoices, 1000), "shop__invoice")
    assert not load(dropped, tmp_path, "shop__invoice").personal_columns
    assert sum("natural person's" in what for _, what in draft.open_items(dropped)) == 3
    pulled = draft.draft(sample.of_file(invoices, 1000, connection="shop"), "shop__order")
    contract = load(pulled, tmp_path, "shop__order")
    assert {c.source_name: c.token_kind for c in contract.personal_columns} == {
        "法定代表人": "person_name", "身份证号": "identity_number", "手机号": "phone",
    }  # fmt: skip
    assert not any(number in pulled for number in [*ID_NUMBERS, "王小明", "13800000001"]), "no clear value in a draft"


def test_every_todo_is_named_with_its_line(invoices: Path) -> None:
    text = draft.draft(sample.of_file(invoices, 1000), "shop__invoice")
    items = draft.open_items(text)
    assert len(items) >= 5 + len(HEAD.split(","))
    assert all("TODO" in text.splitlines()[line - 1] for line, _ in items)


def test_names_are_those_that_contracts_use_already(tmp_path: Path) -> None:
    known = contracts.load_all(Path(__file__).parents[2] / "contracts").values()
    path = tmp_path / "part.jsonl"
    path.write_text("".join(json.dumps({"tyshxydm": f"{n}", "amount_fen": n * 100}) + "\n" for n in range(20)))
    contract = load(draft.draft(sample.of_file(path, 100), "shop__part", known), tmp_path, "shop__part")
    assert [c.name for c in contract.columns][1] == "amount_cny"
    assert contract.column("amount_cny").scale == "0.01"
    assert contract.columns[0].name in {c.name for k in known for c in k.columns if c.source_name == "tyshxydm"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05", "yyyy-MM-dd"), ("20240305", "yyyyMMdd"), ("05.03.2024", "dd.MM.yyyy"), ("202403", "yyyyMM"),
        ("2024年03月05日", "yyyy年MM月dd日"), ("2024/03/05", "yyyy/MM/dd"), ("2024-03", "yyyy-MM"),
    ],
)  # fmt: skip
def test_dates_are_known_by_their_form(text: str, expected: str) -> None:
    found = profiles([{"day": text}] * 3)[0]
    assert (found.logical, found.format) == ("date", expected)


@pytest.mark.parametrize("text", ["2024-13-05", "20249905", "00000000"])
def test_what_is_no_day_is_no_date(text: str) -> None:
    assert profiles([{"day": text}] * 3)[0].logical != "date"


def test_leading_zeros_and_long_numbers_stay_text() -> None:
    found = {p.source_name: p for p in profiles([{"code": f"00{n}", "card": "6" * 19, "n": str(n)} for n in range(9)])}
    assert (found["code"].logical, found["card"].logical, found["n"].logical) == ("string", "string", "integer")


def test_keys_are_the_fewest_columns_that_tell_records_apart() -> None:
    rows = [
        {"account": f"A{n % 3}", "day": f"2024-01-{1 + n // 3:02d}", "kwh": 1.5 * n, "record_revision": 1}
        for n in range(9)
    ]
    assert keys(rows, profiles(rows)) == ["account", "day"]
    assert keys(rows[:1], profiles(rows[:1])) == [], "one record tells nothing"
    repeated = rows + rows[:2]
    assert keys(repeated, profiles(repeated)) == ["account", "day"], "the same record twice is one"
    revised = [{**row, "record_id": f"R{n}", "revision": 1} for n, row in enumerate(rows)]
    assert keys(revised, profiles(revised)) == ["record_id", "revision"]


def test_identity_numbers_are_told_by_their_check_digit() -> None:
    assert personal.suspicion(ID_NUMBERS) == ("identity_number", 1.0)
    wrong = [number[:-1] + ("0" if number[-1] != "0" else "1") for number in ID_NUMBERS]
    assert personal.suspicion(wrong) is None
    assert personal.suspicion(["杭州示例机械有限公司", "上海外部贸易有限公司", "北京某厂"]) is None


def test_json_parquet_and_gzip_are_read_alike(tmp_path: Path) -> None:
    rows = [{"number": f"N{n:03d}", "party": {"name": "x"}, "items": [1, n]} for n in range(12)]
    plain = tmp_path / "page.json"
    plain.write_text(json.dumps({"meta": 1, "data": rows}))
    zipped = tmp_path / "page.jsonl.gz"
    zipped.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    columns = tmp_path / "page.parquet"
    pq.write_table(pa.Table.from_pylist(rows), columns)
    texts = [sample.of_file(path, 100).records for path in (plain, zipped, columns)]
    assert texts[0] == texts[1] == texts[2]
    assert texts[0][3] == {"number": "N003", "party.name": "x", "items": "[1, 3]"}
    assert sample.of_file(plain, 100, connection="c").feed["options"] == {"records": "data"}


def test_gb18030_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(csv_rows().encode("gb18030"))
    assert sample.of_file(path, 10).encoding == "gb18030"


def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    for name, content in (("a.json", b"{"), ("a.csv", b""), ("a.parquet", b"PAR0"), ("a.jsonl", b"[1]\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError):
            sample.of_file(tmp_path / name, 10)
    with pytest.raises(ConfigError):
        sample.of_file(tmp_path / "a.xlsx", 10)


def test_the_command_writes_a_draft_once_and_names_it_after_its_file(
    invoices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_settings()), "contracts_dir", property(lambda self: tmp_path / "contracts"))
    (tmp_path / "contracts").mkdir()
    out = tmp_path / "contracts" / "shop__invoice.yaml"
    words = ["contract", "infer", str(invoices), "--connection", "shop", "--out", str(out)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert contracts.load(out).feed.path == "invoices_*.csv"
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and "is there already" in again.output
    shown = CliRunner().invoke(main, ["contract", "infer", str(invoices)])
    assert "id: source__invoices_202403" in shown.output
    nothing = CliRunner().invoke(main, ["contract", "infer", "no-such-file.csv"])
    assert nothing.exit_code == 1 and "neither a file nor" in nothing.output


def test_options_of_a_feed_nest_and_are_typed() -> None:
    assert _options(("records=data", "filter.table_name=loan", "rows=100", "changeLog=true")) == {
        "records": "data", "filter": {"table_name": "loan"}, "rows": 100, "changeLog": True,
    }  # fmt: skip
    with pytest.raises(ConfigError):
        _options(("records",))
