"""Bulk feeds: the same from the same seed, month by month as at once, in agreement with themselves, of known shape."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner
from stdnum.cn import uscc as official

from sources.economy import bulk, bulk_files, commands, names, params

FIRMS, MONTHS, SEED = 400, 7, 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All months of a small region, as CSV."""
    out = tmp_path_factory.mktemp("whole")
    bulk_files.write(bulk.draw_region(FIRMS, MONTHS, SEED), out)
    return out


@pytest.fixture(scope="module")
def big() -> tuple[bulk.Region, list[dict[str, np.ndarray]]]:
    """Fifteen months of a larger region, in memory."""
    region = bulk.draw_region(4000, 15, 3)
    months = []
    for _, _, blocks in bulk.run(region):
        parts = list(blocks)
        months.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return region, months


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*-20??-??.*"))}


def read(folder: Path, pattern: str) -> duckdb.DuckDBPyRelation:
    """All rows of a feed, as text; SQL finds the relation by the name it is given to."""
    return duckdb.sql(f"select * from read_csv('{folder / pattern}', all_varchar = true)")


def test_the_same_seed_gives_the_same_files(whole, tmp_path):
    bulk_files.write(bulk.draw_region(FIRMS, MONTHS, SEED), tmp_path / "again")
    bulk_files.write(bulk.draw_region(FIRMS, MONTHS, SEED + 1), tmp_path / "other")
    assert contents(tmp_path / "again") == contents(whole)
    other = contents(tmp_path / "other")
    assert not [name for name, content in contents(whole).items() if other.get(name) == content]


def test_a_later_start_writes_the_same_months(whole, tmp_path):
    bulk_files.write(bulk.draw_region(FIRMS, MONTHS, SEED), tmp_path, first_month=5)
    expected = {name: content for name, content in contents(whole).items() if name[-11:-4] >= "2022-06"}
    assert contents(tmp_path) == expected


def test_a_run_that_goes_on_leaves_whole_manifests(whole, tmp_path):
    region = bulk.draw_region(FIRMS, MONTHS, SEED)
    bulk_files.write(region, tmp_path)
    bulk_files.write(region, tmp_path, first_month=5)
    for manifest in whole.glob("*/manifest.json"):
        assert (tmp_path / manifest.relative_to(whole)).read_text() == manifest.read_text()


def test_manifests_and_totals_count_the_rows_that_are_there(whole):
    facts = json.loads((whole / "bulk.json").read_text())
    entries = [e | {"at": m.parent} for m in whole.glob("*/manifest.json") for e in json.loads(m.read_text())]
    assert {str((e["at"] / e["file"]).relative_to(whole)) for e in entries} == set(contents(whole))
    for entry in entries:
        content = (entry["at"] / entry["file"]).read_bytes()
        assert content.count(b"\n") - 1 == entry["rows"]
        assert len(content) == entry["bytes"]
    assert sum(e["rows"] for e in entries) == facts["rows"] == sum(facts["rows_by_feed"].values())


def test_parquet_holds_the_same_rows(whole, tmp_path):
    bulk_files.write(bulk.draw_region(FIRMS, MONTHS, SEED), tmp_path, "parquet")
    for feed in ("vat_invoices/invoices", "electricity/monthly_usage", "business_registry/enterprises"):
        columns = duckdb.sql(f"select * from '{tmp_path}/{feed}-2022-03.parquet'").columns
        cast = ", ".join(f'"{c}"::varchar' for c in columns)
        rows = duckdb.sql(f"select {cast} from '{tmp_path}/{feed}-*.parquet'").fetchall()
        listed = ", ".join(f'"{c}"' for c in columns)
        assert (
            rows == duckdb.sql(f"select {listed} from read_csv('{whole}/{feed}-*.csv', all_varchar = true)").fetchall()
        )


def test_invoice_numbers_are_used_once_and_red_letters_name_real_ones(whole):
    invoices = read(whole, "vat_invoices/*.csv")
    assert "fphm" in invoices.columns
    total, distinct = duckdb.sql("select count(*), count(distinct fphm) from invoices").fetchall()[0]
    assert total == distinct > 5000
    reds = duckdb.sql("select * from invoices where yfphm is not null")
    paired = duckdb.sql(
        "select r.je::double red, o.je::double old, o.fpzt from reds r join invoices o on o.fphm = r.yfphm"
    ).df()
    assert len(paired) == len(reds) > 30
    assert (paired["fpzt"] == "0").all()
    assert (paired["red"] < 0).all()
    assert (paired["red"].abs() <= paired["old"]).all()
    assert duckdb.sql(
        "select count(*) from invoices where je::double + se::double - jshj::double > 0.001"
    ).fetchall() == [(0,)]


def test_returns_declare_what_was_invoiced(whole):
    region = bulk.draw_region(FIRMS, MONTHS, SEED)
    directory = bulk_files.Directory(region)
    codes = directory.uscc.to_pylist()
    honest = {codes[f] for f in range(FIRMS) if region.honesty[f] == 1}
    small = {codes[f] for f in range(FIRMS) if region.small[f]}
    invoices = read(whole, "vat_invoices/*.csv")
    assert "xsfsbh" in invoices.columns
    returns = read(whole, "tax_returns/returns-*.csv")
    said = returns.select("nsrsbh, skssq, xse").fetchall()
    sold = dict(
        duckdb.sql(
            "select xsfsbh || kprq[:6], sum(je::decimal(18,2)) from invoices where zfrq is null group by 1"
        ).fetchall()
    )
    checked = 0
    for code, period, declared in said:
        months = [f"{int(period) - back:06d}" for back in (range(3) if code in small else range(1))]
        if code in honest:
            invoiced = max(float(sum(sold.get(code + month, 0) for month in months)), 0)
            assert float(declared) == pytest.approx(invoiced, abs=0.011)
            checked += 1
    assert checked > 500
    assert {p for _, p, _ in said} == {f"2022{m:02d}" for m in range(1, MONTHS + 1)}


def test_departments_have_keys_of_their_own_and_no_firm_number(whole):
    held = {
        department: {row[0] for row in read(whole, f"{department}/accounts-*.csv").select(key).fetchall()}
        for department, key in (("electricity", "yhbh"), ("water", "khbh"), ("gas", "rqbh"))
    }
    assert all(len(keys) == FIRMS for keys in held.values() if len(keys) > 300)
    assert not held["electricity"] & held["water"]
    used = {row[0] for row in read(whole, "electricity/monthly_usage-*.csv").select("yhbh").fetchall()}
    assert used <= held["electricity"]


def test_credit_codes_are_valid_and_those_of_the_daily_economy():
    serials = np.array([0, 1, 31, 12345, 7919 * 3000 + 104729, 28_000_000])
    regions = np.array([code for code, _ in names.REGIONS])[:6]
    codes = bulk_files.credit_codes(regions, serials)
    assert list(codes) == [names.uscc(r, s) for r, s in zip(regions, serials.tolist(), strict=True)]
    many = bulk_files.credit_codes(np.repeat(regions, 500), np.arange(3000) * 31 + 7)
    assert len(set(many)) == 3000
    assert all(official.is_valid(str(code)) for code in many)


def test_who_trades_with_whom(big):
    region, months = big
    for month, rows in enumerate(months):
        seller, buyer = rows["seller_id"], rows["buyer_id"]
        new = rows["red_of_id"] < 0
        assert (seller != buyer).all()
        assert (buyer[seller >= region.firms] < region.firms).all()  # two outside parties are none of our business
        assert region.active(month)[seller[new]].all()
        assert region.active(month)[buyer[new]].mean() > 0.999
        first, last = region.bounds(month)
        assert ((rows["issued_on"] >= first) & (rows["issued_on"] < last)).all()
        voided = rows["voided_on"][~np.isnat(rows["voided_on"])]
        assert (voided < last).all()


def test_sizes_have_the_tail_they_were_given():
    staff = bulk.draw_region(60_000, 1, 1).staff
    large = np.sort(staff[(staff >= 30) & (staff < params.MAX_STAFF)])
    hill = 1 / np.mean(np.log(large / 29.5))  # whole numbers: half a head below the smallest
    assert hill == pytest.approx(params.STAFF_TAIL, abs=0.12)


def test_shares_and_seasons(big):
    region, months = big
    rows = {name: np.concatenate([month[name] for month in months]) for name in months[0]}
    void = ~np.isnat(rows["voided_on"])
    assert 0.03 < void.mean() < 0.12
    assert 0.005 < (rows["red_of_id"] >= 0).mean() < 0.03
    counts = [len(month["seller_id"]) for month in months]
    ordinary = np.median(counts)
    assert counts[12] < 0.6 * ordinary  # January 2023 holds the new year
    assert counts[1] < 0.75 * ordinary  # as does February 2022, in its first days
    by_seller = np.bincount(rows["seller_id"], minlength=region.parties)[: region.firms]
    assert np.quantile(by_seller, 0.99) > 15 * np.median(by_seller)  # heavy tail


def test_links_last_as_long_as_they_should(big):
    region, months = big
    first, second = ({} for _ in range(2))
    for links, part in ((first, months[:3]), (second, months[12:])):
        for rows in part:
            keep = (rows["amount_fen"] > 0) & (rows["seller_id"] < region.firms)
            pair = rows["seller_id"][keep] * region.parties + rows["buyer_id"][keep]
            for key, amount in zip(pair.tolist(), rows["amount_fen"][keep].tolist(), strict=True):
                links[key] = links.get(key, 0) + amount
    kept = [key for key in first if key in second]
    by_count = len(kept) / len(first)
    by_value = sum(first[key] for key in kept) / sum(first.values())
    assert 0.15 < by_count < 0.45
    assert by_count + 0.2 < by_value < 0.9


def test_a_pure_function_of_seed_and_month(big):
    _, months = big
    for month, _, blocks in bulk.run(bulk.draw_region(4000, 15, 3), first_month=14):
        parts = list(blocks)
        assert month == 14
        for name, expected in months[14].items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), expected)


def test_the_command(tmp_path):
    arguments = ["--firms", "50", "--months", "2", "--out", str(tmp_path / "b")]
    done = CliRunner().invoke(commands.bulk, arguments)
    assert done.exit_code == 0, done.output
    assert "2022-02" in done.output
    assert (tmp_path / "b" / "vat_invoices" / "invoices-2022-02.csv").exists()
    assert CliRunner().invoke(commands.bulk, [*arguments, "--from-month", "3"]).exit_code == 2


def test_no_region_without_firms():
    with pytest.raises(ValueError, match="at least one"):
        bulk.draw_region(0, 12, 1)
