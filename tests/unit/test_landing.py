"""Landing: what is refused and why, what is kept, and that a repeat or a kill changes nothing."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import ConfigError, IntegrityError, LandingError
from lakehouse.settings import Settings
from spark_jobs import landing
from tests.drops import APPLICANT_HEAD, SALE_HEAD, drop, invoice, sound_sales, write_csv

DAY = "2020-03-01"
HEADER = ",".join(SALE_HEAD)
GOOD = f"{HEADER}\n" + "\n".join(",".join(row) for row in sound_sales(50)) + "\n"


def stored(settings: Settings) -> list[str]:
    """Every file that landing keeps, by path."""
    return sorted(str(p.relative_to(settings.landing_dir)) for p in settings.landing_dir.rglob("*") if p.is_file())


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


# how the sale file is damaged: its name, its bytes, the words of the error, the words of its place
PACKED = gzip.compress(GOOD.encode(), mtime=0)
DAMAGED: dict[str, tuple[str, bytes, str, str]] = {
    "truncated gzip": ("output_invoices.csv.gz", PACKED[:-60], "truncated", "bytes"),
    "gzip cut in its check sum": ("output_invoices.csv.gz", PACKED[:-3], "truncated", "bytes"),
    "gzip with a changed byte": ("output_invoices.csv.gz", flip(PACKED, 200), "not a sound gzip file", ""),
    "gzip with trailing garbage": ("output_invoices.csv.gz", PACKED + b"garbage", "follow the end of the gzip", ""),
    "two gzip streams": ("output_invoices.csv.gz", PACKED + PACKED, "follow the end of the gzip", ""),
    "text named gzip": ("output_invoices.csv.gz", GOOD.encode(), "not a sound gzip file", ""),
    "empty gzip": ("output_invoices.csv.gz", gzip.compress(b""), "empty", ""),
    "gzip of no bytes": ("output_invoices.csv.gz", b"", "truncated", ""),
    "gb18030": ("output_invoices.csv", GOOD.encode("gb18030"), "it reads as gb18030", "near line 1"),
    "gb18030 from some line on": (
        "output_invoices.csv", GOOD[:-40].encode() + "\n".join(GOOD.split("\n")[10:20]).encode("gb18030"),
        "it reads as gb18030", "near line 51",
    ),
    "utf-16": ("output_invoices.csv", GOOD.encode("utf-16"), "it reads as utf-16", "near line 1"),
    "a missing column": (
        "output_invoices.csv", GOOD.replace(",税额,", ",").encode(), "column 税额 is missing", "line 1",
    ),
    "an extra column": (
        "output_invoices.csv", GOOD.replace("发票状态", "发票状态,备注").encode(),
        "column 备注 is not in the contract", "line 1",
    ),
    "a column twice": (
        "output_invoices.csv", GOOD.replace("税额", "金额").encode(), "column 金额 stands twice", "line 1",
    ),
    "no header": ("output_invoices.csv", GOOD.split("\n", 1)[1].encode(), "is missing", "line 1"),
    "an empty first line": ("output_invoices.csv", b"\n" + GOOD.encode(), "is missing", "line 1"),
    "an empty file": ("output_invoices.csv", b"", "empty", ""),
    "blank lines only": ("output_invoices.csv", b"\n \r\n\n", "empty", ""),
    "NUL bytes": ("output_invoices.csv", GOOD.encode().replace(b"B3", b"B\x00", 1), "NUL bytes", "about line"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_precisely_and_nothing_of_its_drop_is_kept(settings: Settings, damage: str) -> None:
    name, content, words, place = DAMAGED[damage]
    folder = drop(DAY, firms=["E1"], purchases=[invoice()])
    (folder / name).write_bytes(content)
    with pytest.raises(LandingError) as caught:
        landing.land(DAY)
    assert words in caught.value.what
    assert str(caught.value.where).startswith(name) and place in str(caught.value.where)
    assert caught.value.remedy
    assert stored(settings) == []
    (folder / name).unlink()
    assert len(landing.land(DAY)["new_batches"]) == 2


def test_columns_in_another_order_are_taken_in_as_they_stand(settings: Settings) -> None:
    swapped = [*SALE_HEAD[:4], SALE_HEAD[5], SALE_HEAD[4], *SALE_HEAD[6:]]
    write_csv(settings.inbox_dir / DAY / "output_invoices.csv", swapped, [invoice()])
    landing.land(DAY)
    assert landing.landed()[0].files[0].header == tuple(swapped)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(settings: Settings) -> None:
    folder = settings.inbox_dir / DAY
    folder.mkdir(parents=True)
    (folder / "output_invoices.csv").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    landing.land(DAY)
    file = landing.landed()[0].files[0]
    assert (file.header, file.data_lines) == (SALE_HEAD, 50)


def test_the_manifest_states_bytes_lines_and_digests(settings: Settings) -> None:
    folder = drop(DAY, sales=sound_sales(3), firms=["E1", "E2"])
    done = landing.land(DAY)
    batches = landing.landed()
    assert done == {"new_batches": [b.batch_id for b in batches], "repeated_batches": [], "unclaimed_files": []}
    assert [(b.sequence, b.contract, b.files[0].data_lines) for b in batches] == [
        (1, "bank__applicant", 2), (2, "gov_tax__sale_invoice", 3),
    ]  # fmt: skip
    assert (batches[0].previous_hash, batches[1].previous_hash) == (landing.GENESIS, batches[0].manifest_hash)
    sale = batches[1]
    assert (sale.folder / "output_invoices.csv").read_bytes() == (folder / "output_invoices.csv").read_bytes()
    assert sale.bytes == (folder / "output_invoices.csv").stat().st_size
    assert sale.received_on.isoformat() == DAY


def test_the_same_bytes_again_are_nothing_new(settings: Settings) -> None:
    drop(DAY, sales=sound_sales(3), firms=["E1"])
    first = landing.land(DAY)
    before = stored(settings)
    assert landing.land(DAY)["new_batches"] == []
    drop("2020-04-01", sales=sound_sales(3), firms=["E1"])
    again = landing.land("2020-04-01")
    assert again["new_batches"] == [] and sorted(again["repeated_batches"]) == sorted(first["new_batches"])
    assert stored(settings) == before


def test_bytes_that_come_back_after_others_are_news(settings: Settings) -> None:
    first, second = sound_sales(3), sound_sales(4)
    days = {"2020-03-01": first, "2020-04-01": second, "2020-05-01": first, "2020-06-01": first}
    done = {}
    for day, sales in days.items():
        drop(day, sales=sales)
        done[day] = landing.land(day)["new_batches"]
    assert [len(batches) for batches in done.values()] == [1, 1, 1, 0]
    assert [b.received_on.isoformat() for b in landing.landed()] == list(days)[:3]
    assert len({b.batch_id for b in landing.landed()}) == 3
    before = stored(settings)
    assert [landing.land(day)["new_batches"] for day in days] == [[], [], [], []]
    assert stored(settings) == before


def test_a_renamed_file_is_nothing_new_but_a_second_copy_makes_a_batch(settings: Settings) -> None:
    folder = drop(DAY, sales=sound_sales(3))
    landing.land(DAY)
    (folder / "output_invoices.csv").rename(folder / "output_invoices_march.csv")
    assert landing.land(DAY)["new_batches"] == []
    (folder / "output_invoices_copy.csv").write_bytes((folder / "output_invoices_march.csv").read_bytes())
    assert len(landing.land(DAY)["new_batches"]) == 1
    assert [f.data_lines for f in landing.landed()[-1].files] == [3, 3]


def test_a_drop_in_the_past_is_refused_until_it_is_dated_right(settings: Settings) -> None:
    drop(DAY, sales=sound_sales(3))
    landing.land(DAY)
    drop("2020-02-01", sales=sound_sales(4))
    with pytest.raises(LandingError, match="cannot be put in before") as caught:
        landing.land("2020-02-01")
    assert DAY in str(caught.value.remedy)
    assert len(landing.landed()) == 1
    assert len(landing.land(DAY, settings.inbox_dir / "2020-02-01")["new_batches"]) == 1


def test_unclaimed_files_are_listed_and_left(settings: Settings) -> None:
    folder = drop(DAY, sales=sound_sales(3))
    (folder / "readme.txt").write_text("hello")
    (folder / "sub").mkdir()
    assert landing.land(DAY)["unclaimed_files"] == ["readme.txt"]
    assert not [name for name in stored(settings) if "readme" in name]


def test_a_drop_that_is_absent_or_fits_nothing_is_an_error_with_a_remedy(settings: Settings) -> None:
    with pytest.raises(LandingError, match="no drop"):
        landing.land(DAY)
    folder = settings.inbox_dir / DAY
    folder.mkdir(parents=True)
    with pytest.raises(LandingError, match="no file of the drop") as caught:
        landing.land(DAY)
    assert "empty" in str(caught.value.where)
    (folder / "readme.txt").write_text("hello")
    with pytest.raises(LandingError, match="no file of the drop") as caught:
        landing.land(DAY)
    assert "readme.txt" in str(caught.value.where)
    with pytest.raises(ConfigError, match="not a date"):
        landing.land("march")


def test_two_contracts_that_claim_a_file_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from lakehouse import contracts

    known = contracts.load_all(settings.contracts_dir)
    greedy = {**known, "bank__applicant": replace(known["bank__applicant"], file_pattern="*.csv")}
    monkeypatch.setattr(contracts, "load_all", lambda folder: greedy)
    drop(DAY, sales=[invoice()])
    with pytest.raises(LandingError, match=r"bank__applicant, gov_tax__sale_invoice"):
        landing.land(DAY)


@pytest.mark.parametrize("step", ["shutil.copyfile", "spark_jobs.landing._commit", "spark_jobs.landing.os.link"])
def test_killed_at_any_step_landing_again_ends_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    drop(DAY, sales=sound_sales(3), firms=["E1"])
    with monkeypatch.context() as patch:
        patch.setattr(step, kill)
        with pytest.raises(Killed):
            landing.land(DAY)
    assert landing.landed() == []
    assert len(landing.land(DAY)["new_batches"]) == 2
    assert [b.sequence for b in landing.landed()] == [1, 2]
    assert len([name for name in stored(settings) if name.endswith(".csv")]) == 2


def test_a_half_copied_file_of_a_killed_job_is_thrown_away(settings: Settings) -> None:
    drop(DAY, sales=sound_sales(3))
    landing.land(DAY)
    batch = landing.landed()[0]
    landing.manifest_paths()[0].unlink()
    (batch.folder / "output_invoices.csv").write_text("half")
    (batch.folder / "stray.csv").write_text("stray")
    draft = settings.landing_dir / ".incoming" / batch.batch_id
    draft.mkdir(parents=True)
    (draft / "output_invoices.csv").write_text("half")
    assert landing.land(DAY)["new_batches"] == [batch.batch_id]
    source = settings.inbox_dir / DAY / "output_invoices.csv"
    assert (batch.folder / "output_invoices.csv").read_bytes() == source.read_bytes()
    assert not (batch.folder / "stray.csv").exists() and not draft.exists()


def test_what_two_jobs_land_at_once_is_landed_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    commit: Callable[..., Path | None] = landing._commit

    def late(folder: Path, batch_id: str, body: dict[str, object]) -> Path | None:
        commit(folder, "rival", body)  # the rival lands the same drop first
        return commit(folder, batch_id, body)

    drop(DAY, sales=sound_sales(3))
    monkeypatch.setattr(landing, "_commit", late)
    landing.land(DAY)
    assert [p.name for p in (settings.landing_dir / "manifests").iterdir()] == ["00000001.json"]


def test_jobs_that_land_other_feeds_at_once_take_numbers_in_turn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit: Callable[..., Path | None] = landing._commit

    def late(folder: Path, batch_id: str, body: dict[str, object]) -> Path | None:
        if body["sequence"] == 1:
            other = {**body, "contract": "another", "batch_id": "another"}
            commit(folder, "rival", {**other, "manifest_hash": landing.body_hash(other)})
        return commit(folder, batch_id, body)

    drop(DAY, sales=sound_sales(3))
    monkeypatch.setattr(landing, "_commit", late)
    landing.land(DAY)
    first, second = landing.landed()
    assert (first.contract, second.sequence, second.previous_hash) == ("another", 2, first.manifest_hash)


def test_a_file_that_changes_while_it_is_read_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = drop(DAY, sales=sound_sales(3))
    seen = landing.inspect

    def growing(path: Path, contract: object) -> object:
        found = seen(path, contract)
        path.write_text(path.read_text() + "E9")
        return found

    monkeypatch.setattr(landing, "inspect", growing)
    with pytest.raises(LandingError, match="changed while it was read"):
        landing.land(DAY)
    assert landing.landed() == [] and (folder / "output_invoices.csv").exists()


def test_an_unreadable_manifest_stops_landing_rather_than_starting_a_new_chain(settings: Settings) -> None:
    drop(DAY, sales=sound_sales(3))
    landing.land(DAY)
    landing.manifest_paths()[0].write_text("{")
    drop("2020-04-01", sales=sound_sales(4))
    with pytest.raises(IntegrityError, match="not readable"):
        landing.land("2020-04-01")


def test_a_header_without_rows_is_a_batch_of_none(settings: Settings) -> None:
    write_csv(settings.inbox_dir / DAY / "enterprises_without_credit_record.csv", APPLICANT_HEAD, [])
    landing.land(DAY)
    assert landing.landed()[0].files[0].data_lines == 0
