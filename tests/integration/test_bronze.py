"""Bronze: what becomes of each row of a drop, over drops that correct, repeat, add and take back."""

from __future__ import annotations

import gzip
from dataclasses import asdict
from typing import Any

import pytest

from lakehouse import contracts, engine, ledger, tables
from lakehouse.errors import ConfigError, GateFailed
from lakehouse.settings import Settings
from spark_jobs import bronze, landing, quarantine
from tests.drops import APPLICANT_HEAD, SALE_HEAD, VOID, drop, invoice, publish_builds, sound_sales, write_csv

pytestmark = pytest.mark.engine
SALES = "bronze.gov_tax__sale_invoice"


def ingest(partition: str) -> None:
    """Lands and parses a drop and makes it readable, without the gate's wait."""
    landing.land(partition)
    bronze.build(partition)
    with engine.session() as spark:
        publish_builds(spark, "bronze", partition)


def account(spark: Any, partition: str, contract: str = "gov_tax__sale_invoice") -> dict[str, Any]:
    """The batch ledger's row of a drop."""
    rows = ledger.batches(spark).where(f"partition = '{partition}' AND contract = '{contract}'").collect()
    assert len(rows) == 1
    return rows[0].asDict()


def states(spark: Any, numbers: list[int]) -> dict[int, list[tuple]]:
    """Accepted versions of E1's invoices by number: amount, status, known date, whether that is assumed."""
    listed = ", ".join(f"'{n}'" for n in numbers)
    rows = tables.read(spark, SALES).where("disposition = 'accepted' AND enterprise_id = 'E1'")
    rows = rows.where(f"invoice_number IN ({listed})")
    found: dict[int, list[tuple]] = {n: [] for n in numbers}
    rows = rows.selectExpr("*", "cast(to_date(known_at) AS string) AS known")
    for row in rows.orderBy("batch_sequence", "row_number").collect():
        found[int(row["invoice_number"])].append(
            (int(row["amount_excl_tax_cny"]), row["status"], row["known"], row["known_at_is_assumed"])
        )
    return found


# line as it stands in the file → its reasons; the first five are sound
TRAPS: list[tuple[str, set[str]]] = [
    (",".join(invoice(number=9001, status=" 有效发票")), set()),
    (",".join(invoice(number=9002, status="作废发票 ")), set()),
    (",".join(invoice(number=9003, amount=-40.0)), set()),
    (",".join(invoice(number=9004, amount=0.0)), set()),
    ('"E1","9005",2019/1/5,"B1",10.00,1.30,11.30,"有效发票"', set()),
    (",".join(invoice(number=9010, total="114.00")), {"total_mismatch"}),
    (",".join(invoice(number=9011, day="1900/1/1")), {"below_minimum:issued_on"}),
    (",".join(invoice(number=9012, day="2099/1/1")), {"after_received:issued_on"}),
    (",".join(invoice(number=9013, amount=1e15, tax="0", total="0")),
     {"above_maximum:amount_excl_tax_cny", "total_mismatch"}),
    (",".join(invoice(number=9014, party="2019/1/5", day="B1")), {"bad_type:issued_on", "bad_pattern:counterparty_id"}),
    (",".join(invoice(number=9015, status="红冲发票")), {"unknown_code:status"}),
    (",".join(invoice(number=9016, tax="1.3E+01")), {"bad_type:tax_cny"}),
    (",".join(invoice(number=9017, tax="13.001")), {"bad_type:tax_cny"}),
    (",".join([*invoice(number=9018), "surplus"]), {"malformed_line"}),
    (",".join(invoice(number=9019)[:-1]), {"malformed_line", "missing:status"}),
    (",".join(invoice(number="1" * 30)), {"bad_pattern:invoice_number"}),
]  # fmt: skip
BAD = [(line, why) for line, why in TRAPS if why]


def test_every_row_of_a_drop_with_traps_is_accounted_for(lakehouse: Settings) -> None:
    folder = drop("2020-03-01", sales=[*sound_sales(700), *sound_sales(3)])
    with (folder / "output_invoices.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n  \n" + "\r\n".join(line for line, _ in TRAPS))  # blank lines, and no line end at the end
    copied = sound_sales(5)
    (folder / "output_invoices (1) [副本]+%20.csv.gz").write_bytes(
        gzip.compress("\n".join(",".join(row) for row in [SALE_HEAD, *copied]).encode())
    )
    order = [7, 6, 5, 4, 3, 2, 1, 0]
    others = [[row[i] for i in order] for row in sound_sales(4, firm="E2")]
    write_csv(folder / "output_invoices_backwards.csv", [SALE_HEAD[i] for i in order], others)
    name = 'a "quoted", name \\'
    write_csv(folder / "enterprises_without_credit_record.csv", APPLICANT_HEAD, [("E1", name)])
    write_csv(folder / "loan_ledger.csv", [c.source_name for c in _loan_columns(lakehouse)], [])
    ingest("2020-03-01")
    with engine.session() as spark:
        done = account(spark, "2020-03-01")
        rows_in = 700 + 3 + len(TRAPS) + 5 + 4
        assert (done["files"], done["rows_in"], done["rows_quarantined"]) == (3, rows_in, len(BAD))
        assert done["rows_duplicate"] == 3 + 5
        assert done["rows_in"] == done["rows_accepted"] + done["rows_quarantined"] + done["rows_duplicate"]
        counted: dict[str, int] = {}
        for _, why in BAD:
            counted |= {code: counted.get(code, 0) + 1 for code in why}
        assert done["reasons"] == counted
        assert (done["profile"]["zero_amount"], done["profile"]["void"]) == (1, 1)

        # every held row is where its line stands in the file, counted in records, and shows what it said
        held = quarantine.held(spark).orderBy("row_number").collect()
        assert [(set(r["reasons"]), r["source_file"]) for r in held] == [(why, "output_invoices.csv") for _, why in BAD]
        assert [r["row_number"] for r in held] == [703 + i for i, (_, why) in enumerate(TRAPS, 1) if why]
        assert [r["raw"]["发票号码"] for r in held if "malformed_line" not in r["reasons"]] == [
            line.split(",")[1] for line, why in BAD if "malformed_line" not in why
        ]
        assert {r["raw_line"] for r in held if r["raw_line"]} == {l for l, why in BAD if "malformed_line" in why}  # noqa: E741

        sales = tables.read(spark, SALES)
        files = {r[0]: r[1] for r in sales.groupBy("source_file").count().collect()}
        assert set(files) == {f.name for b in landing.landed() if b.contract == done["contract"] for f in b.files}
        backwards = sales.where("enterprise_id = 'E2'").orderBy("row_number").collect()
        assert [(r["invoice_number"], r["counterparty_id"], int(r["amount_excl_tax_cny"])) for r in backwards] == [
            (row[1], row[3], int(float(row[4]))) for row in sound_sales(4, firm="E2")
        ]
        assert {r["status"] for r in sales.select("status").distinct().collect()} == {"valid", "void"}
        assert tables.read(spark, "bronze.bank__applicant").collect()[0]["name"] == name
        empty = account(spark, "2020-03-01", "bank__loan")
        assert empty["rows_in"] == 0 and not tables.is_published(spark, "bronze.bank__loan")
        before, manifest = tables.content_hash(sales), tables.current_manifest()
        assert bronze.pending(spark) == []

    assert bronze.build("2020-03-01") == {"batches": 0, "rows_in": 0}
    with engine.session() as spark:
        assert tables.content_hash(tables.read(spark, SALES)) == before
        assert tables.current_manifest() == manifest


def _loan_columns(settings: Settings) -> tuple:
    return contracts.load_all(settings.contracts_dir)["bank__loan"].columns


# 8 is listed valid and void in the same drop, and in every drop after it
BASE = [invoice(number=n, day="2019/5/1") for n in range(1, 9)]
BOTH = invoice(number=8, day="2019/5/1", status=VOID)
CORRECTED = [
    BASE[0],
    invoice(number=2, day="2019/5/1", status=VOID),
    invoice(number=3, day="2019/5/1", amount=500.0),
    *BASE[3:],
]
DROPS = {
    "2020-03-01": [*BASE, BOTH],
    "2020-04-01": [*CORRECTED, BOTH, invoice("E7", 1, "2019/6/1"), invoice(number=20, day="2020/3/15")],
    "2020-05-01": [*BASE, BOTH],
}


def assert_known_as_they_came(spark: Any) -> None:
    """What the three drops tell, whether they were taken in one by one or together."""
    done = {p: account(spark, p) for p in DROPS}
    kept = {p: (d["rows_in"], d["rows_accepted"], d["rows_duplicate"]) for p, d in done.items()}
    assert kept == {"2020-03-01": (9, 9, 0), "2020-04-01": (11, 4, 7), "2020-05-01": (9, 2, 7)}
    first, second, third = ("2019-05-02", True), ("2020-04-01", False), ("2020-05-01", False)
    assert states(spark, [1, 2, 3, 8, 20]) == {
        1: [(100, "valid", *first)],
        2: [(100, "valid", *first), (100, "void", *second), (100, "valid", *third)],
        3: [(100, "valid", *first), (500, "valid", *second), (100, "valid", *third)],
        8: [(100, "valid", *first), (100, "void", *first)],
        20: [(100, "valid", *second)],
    }
    newcomer = tables.read(spark, SALES).where("enterprise_id = 'E7'")
    known = newcomer.selectExpr("cast(known_at AS string)", "known_at_is_assumed").collect()
    assert [tuple(r) for r in known] == [("2019-06-02 00:00:00", True)]


def test_drops_that_are_taken_in_together_are_known_as_they_came(lakehouse: Settings) -> None:
    for partition, sales in DROPS.items():
        drop(partition, sales=sales)
        landing.land(partition)
    bronze.build("2020-05-01")
    with engine.session() as spark:
        publish_builds(spark, "bronze", "2020-05-01")
        assert_known_as_they_came(spark)


def test_drops_that_correct_repeat_add_and_take_back(lakehouse: Settings) -> None:
    for partition, sales in DROPS.items():
        drop(partition, sales=sales)
        ingest(partition)
    with engine.session() as spark:
        assert_known_as_they_came(spark)
        trusted = tables.content_hash(tables.read(spark, SALES))

    # a batch with too many bad rows is held back whole, and closing it lets the next one through
    bad = [invoice(number=n, status="?") for n in range(50, 53)]
    drop("2020-06-01", sales=[*BASE, *bad], firms=["E1"])
    landing.land("2020-06-01")
    with pytest.raises(GateFailed, match=r"3 of 11 rows break the contract.*unknown_code:status 3") as caught:
        bronze.build("2020-06-01")
    batch = landing.landed()[-1].batch_id
    assert batch in str(caught.value.where) and batch in str(caught.value.remedy)
    with engine.session() as spark:
        assert tables.content_hash(tables.read(spark, SALES)) == trusted
        assert [b.contract for b in bronze.pending(spark)] == ["bank__applicant", "gov_tax__sale_invoice"]
        assert ledger.runs(spark).where("state = 'failed' AND job = 'bronze'").count() == 1
    assert quarantine.reject_batches([batch], "ann", "the sender tried it out")["rows"] == 11
    with pytest.raises(ConfigError, match="no landed batch"):
        quarantine.reject_batches(["nothing"], "ann", "")
    with pytest.raises(ConfigError, match="published already"):
        quarantine.reject_batches([landing.landed()[0].batch_id], "ann", "")

    drop("2020-07-01", sales=[*BASE, BOTH, invoice(number=60, day="2020/6/1")])
    ingest("2020-07-01")
    with engine.session() as spark:
        assert (account(spark, "2020-06-01")["rows_quarantined"], bronze.pending(spark)) == (11, [])
        after = account(spark, "2020-07-01")
        assert (after["rows_accepted"], after["rows_duplicate"]) == (1, 9)
        assert states(spark, [50, 60]) == {50: [], 60: [(100, "valid", "2020-07-01", False)]}
        why = ledger.runs(spark).where("job = 'reject_batch' AND state = 'success'").collect()
        assert len(why) == 1 and "the sender tried it out" in why[0]["details"] and "ann" in why[0]["details"]


def test_rows_that_do_not_add_up_are_no_account() -> None:
    sound = ledger.BatchAccount("b", "c", "2020-03-01", "h", 1, 10, 5, 3, 1, 1, {}, {})
    from lakehouse.errors import IntegrityError

    with pytest.raises(IntegrityError, match="6 rows came in, but 3 accepted"):
        ledger.BatchAccount(**{**asdict(sound), "rows_in": 6})
