"""Where a demo lives and which date its files get."""

from __future__ import annotations

import gzip
from datetime import date

import pytest

from lakehouse.demo import place
from lakehouse.errors import ConfigError, VinelakeError
from lakehouse.settings import get_settings

HEADER = "企业代号,发票号码,开票日期,销方单位代号,金额,税额,价税合计,发票状态\n"
TODAY = date(2026, 6, 15)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A lakehouse of the test's own."""
    monkeypatch.setenv("VINELAKE_VAR_DIR", str(tmp_path / "lake"))
    get_settings.cache_clear()
    yield place.enter("demo")
    get_settings.cache_clear()


def invoices(folder, *dates, name="input_invoices.csv"):
    folder.mkdir(exist_ok=True)
    text = HEADER + "".join(f"E1,{i},{d},A1,1,0,1,有效发票\n" for i, d in enumerate(dates))
    if name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    else:
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_drop_is_dated_the_first_of_the_month_after_its_invoices_end(tmp_path):
    folder = invoices(tmp_path / "drop", "2020/1/31", "2020/2/7")
    invoices(folder, "2019/12/1", name="output_invoices_with_credit_record.csv.gz")
    drop = place.real_drop(folder, None, TODAY)
    assert drop.partition == "2020-03-01" and "2020-02" in drop.reason


def test_december_is_followed_by_january(tmp_path):
    assert place.real_drop(invoices(tmp_path / "d", "2024-12-31"), None, TODAY).partition == "2025-01-01"


def test_a_few_mistyped_dates_do_not_move_the_end(tmp_path):
    folder = invoices(tmp_path / "d", *["2020/1/5"] * 3000, "2999/1/1", "nonsense", "2020/13/1", "")
    assert place.real_drop(folder, None, TODAY).partition == "2020-02-01"


def test_a_drop_is_never_received_in_the_future(tmp_path):
    assert place.real_drop(invoices(tmp_path / "d", "2026/6/10"), None, TODAY).partition == "2026-06-15"


def test_a_given_date_is_taken(tmp_path):
    folder = invoices(tmp_path / "d", "2020/1/5")
    assert place.real_drop(folder, date(2021, 5, 4), TODAY).partition == "2021-05-04"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", HEADER])
def test_without_dates_the_remedy_is_named(tmp_path, content):
    (tmp_path / "input_invoices.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        place.real_drop(tmp_path, None, TODAY)
    assert "AS_OF" in told.value.remedy


def test_a_damaged_archive_is_left_for_landing_to_judge(tmp_path):
    folder = invoices(tmp_path / "d", "2020/1/5")
    (folder / "output_invoices.csv.gz").write_bytes(gzip.compress(HEADER.encode())[:-6])
    assert place.real_drop(folder, None, TODAY).partition == "2020-02-01"


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        place.real_drop(tmp_path / "none", None, TODAY)


def test_current_points_at_the_lakehouse_used_last(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "PROJECT_DIR", tmp_path)
    monkeypatch.setattr(place, "get_settings", get_settings_of(tmp_path / "var" / "current"))
    for name in ("demo", "invoices", "demo"):
        place.enter(name)
        assert (tmp_path / "var" / "current").resolve() == tmp_path / "var" / name


def get_settings_of(var_dir):
    def read():
        from lakehouse.settings import Settings

        return Settings(var_dir=var_dir)

    read.cache_clear = lambda: None
    return read


def test_current_is_not_replaced_when_it_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "PROJECT_DIR", tmp_path)
    monkeypatch.setattr(place, "get_settings", get_settings_of(tmp_path / "var" / "current"))
    (tmp_path / "var" / "current").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not a symbolic link"):
        place.enter("demo")


def test_a_drop_is_linked_into_the_inbox_once(home, tmp_path):
    first, second = invoices(tmp_path / "a", "2020/1/5"), invoices(tmp_path / "b", "2020/1/5")
    assert place.deliver(place.Drop(first, "2020-02-01", "")) is None
    assert (home / "inbox" / "2020-02-01" / "input_invoices.csv").is_file()
    assert place.deliver(place.Drop(first, "2020-02-01", "")) is None
    assert str(first) in place.deliver(place.Drop(second, "2020-02-01", ""))
    assert (home / "inbox" / "2020-02-01").resolve() == second
    assert "2020-02-01" in place.deliver(place.Drop(second, "2020-03-01", ""))
    assert sorted(p.name for p in (home / "inbox").iterdir()) == ["2020-02-01", "2020-03-01"]


def test_a_folder_somebody_put_into_the_inbox_is_left_alone(home, tmp_path):
    (home / "inbox" / "2020-02-01").mkdir(parents=True)
    with pytest.raises(ConfigError, match="folder of its own"):
        place.deliver(place.Drop(tmp_path, "2020-02-01", ""))


def test_the_built_in_files_are_made_once_and_only_whole(home):
    drop = place.built_in_drop(20, None)
    assert drop.partition == "2024-01-01"
    place.draft_of(drop).mkdir(parents=True)
    (place.draft_of(drop) / "half.csv").write_text("left by a killed run")
    generator = place.start_generator(drop, 20)
    assert "20 firms" in place.finish_generator(generator, drop)
    assert not (drop.folder / "half.csv").exists() and (drop.folder / "loan_ledger.csv").is_file()
    assert place.start_generator(drop, 20) is None


def test_a_failing_generator_says_why_and_leaves_no_files(home):
    drop = place.built_in_drop(3, None)
    generator = place.start_generator(drop, 3)
    with pytest.raises(VinelakeError, match="too few") as told:
        place.finish_generator(generator, drop)
    assert "generator.log" in told.value.where
    assert not drop.folder.exists()
