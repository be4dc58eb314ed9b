"""Measures a written world against published figures, each beside its target interval and source."""

# ruff: noqa: E501 (queries)

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats
from scipy.optimize import brentq

from sources.economy import calibrate_structure as structure

AXTELL = "Axtell 2001; Heinrich and Dai 2016 (China)"
GROWTH = "Zou 2019; Stanley 1996"
DEGREES = "Fujiwara and Aoyama 2008; Chakraborty 2018; Goto and Souma 2020"
INVOICES = "CUMCM 2018–19, 220 Chinese firms (computed)"
COFACE = "Coface China payment survey 2025"
SAIC = "SAIC 2013"
BAD = "CBIRC 2019; Yi Gang 2018 (stock, hence one-year rate)"


@dataclass(frozen=True)
class Fact:
    """One measured figure; `low`–`high` is the target interval, None where there is none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    source: str

    @property
    def inside(self) -> bool | None:
        """Whether the value lies in the interval; None when it was not measured."""
        if self.value is None or not np.isfinite(self.value):
            return None
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)


class World:
    """A world's tables as DuckDB views, with the facts of `world.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.facts = json.loads((self.folder / "world.json").read_text())
        self.db = duckdb.connect()
        self.db.execute("set threads = 1")
        for name in self.facts["tables"]:
            self.db.execute(f"create view {name} as select * from '{self.folder}/{name}/*.parquet'")
        self.n = self.facts["firms"]
        self.last = self.facts["last_day"]

    def rows(self, sql: str) -> dict[str, np.ndarray]:
        """Columns of a query as arrays."""
        found = self.db.execute(sql).fetchnumpy()
        return {k: np.ma.filled(v.astype(float), np.nan) if v.dtype.kind in "iufb" else v for k, v in found.items()}

    def one(self, sql: str) -> float | None:
        """The single number of a query."""
        value = self.db.execute(sql).fetchone()[0]
        return None if value is None else float(value)


def tail(values: np.ndarray, share: float = 0.1) -> float:
    """Hill's estimate of the exponent of the complementary distribution over the largest `share` of values."""
    top = np.sort(values[values > 0])[::-1]
    k = max(10, int(len(top) * share))
    return float(1.0 / np.mean(np.log(top[:k] / top[k])))


def sizes(w: World) -> list[Fact]:
    """Staff on the last day."""
    staff = w.rows(f"select staff from firm_day where day = date '{w.last}' and staff > 0")["staff"]
    return [Fact("staff, exponent of the tail", tail(staff), 1.0, 1.5, AXTELL)]


def growth(w: World) -> list[Fact]:
    """Yearly log growth of sales of firms that lived through both years."""
    rows = w.rows(
        "with y as (select firm_id, year(day) y, sum(sales_fen) s, count(*) d, avg(staff) staff from firm_day "
        "where day >= (select min(day) + 1 from firm_day) group by all) "
        "select ln(b.s / a.s) g, a.s s from y a join y b on a.firm_id = b.firm_id and b.y = a.y + 1 "
        "where a.s > 0 and b.s > 0 and a.d >= 364 and b.d >= 364"
    )
    g, s = rows["g"], rows["s"]
    if len(g) < 200:
        return [
            Fact("growth, Subbotin b", None, 0.8, 1.3, GROWTH),
            Fact("growth, σ by size", None, -0.25, -0.1, GROWTH),
        ]
    inner = g[np.abs(g - np.median(g)) < np.quantile(np.abs(g - np.median(g)), 0.995)]
    shape = stats.gennorm.fit(inner, floc=np.median(inner))[0]
    edges = np.quantile(s, np.linspace(0, 1, 9))
    place = np.clip(np.searchsorted(edges, s) - 1, 0, 7)
    mids = [np.log(np.median(s[place == b])) for b in range(8)]
    spread = [np.log(np.mean(np.abs(g[place == b] - np.median(g[place == b])))) for b in range(8)]
    slope = float(np.polyfit(mids, spread, 1)[0])
    return [
        Fact("growth, Subbotin b", float(shape), 0.8, 1.3, GROWTH),
        Fact("growth, σ by size", slope, -0.25, -0.1, GROWTH),
    ]


def degrees(w: World) -> list[Fact]:
    """The trade network of the last twelve months: degree tails, mixing, components, replaced links."""
    w.db.execute(
        f"create or replace temp table pair as select seller_id s, buyer_id b, sum(amount_fen) v, count(*) c from invoice "
        f"where issued_on > date '{w.last}' - interval 365 day and voided_on is null and buyer_id >= 0 group by all"
    )
    inside = w.rows("select s, b from pair where s < 10000000 and b < 10000000")
    suppliers = w.rows("select count(*) k from pair where b < 10000000 group by b")["k"]
    customers = w.rows("select count(*) k from pair where s < 10000000 group by s")["k"]
    s, b = inside["s"].astype(int), inside["b"].astype(int)
    top = max(s.max(), b.max()) + 1
    degree = np.bincount(s, minlength=top) + np.bincount(b, minlength=top)
    mixing = np.corrcoef(np.concatenate([degree[s], degree[b]]), np.concatenate([degree[b], degree[s]]))[0, 1]
    replaced = w.one(
        "select avg(cast(to_on is not null as int)) from trade_link where seller_id < 10000000 and buyer_id < 10000000 "
        "and from_on <= (select min(day) from calendar_day)"
    )
    years = w.facts["years"]
    five = None if replaced is None else 1 - (1 - replaced) ** (5 / years)
    return [
        Fact("suppliers, exponent of the tail", tail(suppliers), 1.2, 1.6, DEGREES),
        Fact("customers, exponent of the tail", tail(customers), 1.1, 1.5, DEGREES),
        Fact("degree mixing (below zero: disassortative)", float(mixing), None, 0.0, DEGREES),
        Fact("share of trading firms in the giant component", giant(s, b), 0.9, 1.0, DEGREES),
        Fact("links replaced in five years", five, 0.4, 0.6, DEGREES),
    ]


def giant(s: np.ndarray, b: np.ndarray) -> float:
    """Share of the firms in links that hang together in the largest component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    top = max(s.max(), b.max()) + 1
    label = connected_components(coo_matrix((np.ones(len(s)), (s, b)), (top, top)), directed=False)[1]
    mine = label[np.unique(np.concatenate([s, b]))]
    return float(np.bincount(mine).max() / len(mine))


def invoices(w: World) -> list[Fact]:
    """What one sees in a firm's invoices."""
    years = w.facts["years"]
    total = w.one("select count(*) from invoice where issued_on >= (select min(day) from calendar_day)")
    live = w.one("select count(*) / 365.25 from firm_day where staff > 0")
    both = "voided_on is null and buyer_id >= 0 and planted_id is null"
    span = f"issued_on > date '{w.last}' - interval {min(1095, int(years * 365))} day"
    alive = f"(select firm_id from firm_day where day = date '{w.last}' and staff > 0)"
    customers = w.rows(
        f"select count(distinct buyer_id) k from invoice where {both} and {span} and seller_id in {alive} group by seller_id"
    )["k"]
    suppliers = w.rows(
        f"select count(distinct seller_id) k from invoice where {both} and {span} and buyer_id in {alive} group by buyer_id"
    )["k"]
    w.db.execute(
        "create or replace temp table mine as select s, b, v, max(v) over (partition by s) / sum(v) over (partition by s) top from pair where s < 10000000 and v > 0"
    )
    top = w.one("select median(top) from (select distinct s, top from mine)")
    ends = w.rows(
        f"with a as (select seller_id s, buyer_id b, sum(amount_fen) v from invoice where {both} and issued_on <= date '{w.last}' "
        f"- interval 365 day and issued_on > date '{w.last}' - interval 730 day group by all), "
        "k as (select a.*, p.v is not null kept from a left join pair p using (s, b)) "
        "select avg(cast(kept as int)) n, sum(case when kept then v end) / sum(v) v from k"
    )
    marks = w.rows(
        "select avg(cast(voided_on is not null as int)) void, avg(cast(red_of_id is not null as int)) red from invoice "
        "where issued_on < date '2024-12-01' and planted_id is null"
    )
    swing = w.rows(
        f"with m as (select seller_id f, date_trunc('month', issued_on) m, sum(amount_fen) v from invoice where {both} and "
        f"seller_id in {alive} and {span} group by all), n as (select f, count(*) k, sum(v) s, sum(v * v::double) q from m group by f) "
        f"select sqrt(greatest(q / {min(36, int(years * 12))} - pow(s / {min(36, int(years * 12))}, 2), 0)) / "
        f"(s / {min(36, int(years * 12))}) cv from n where k > 5"
    )["cv"]
    return [
        Fact("invoices a firm-year, in and out", total / live, 120, 180, "size of the world (about 150)"),
        Fact("customers, median", float(np.median(customers)), 15, 35, INVOICES),
        Fact("suppliers, median", float(np.median(suppliers)), 60, 110, INVOICES),
        Fact("share of the largest customer, median", top, 0.25, 0.40, INVOICES),
        Fact("links that survive a year, by count", float(ends["n"][0]), 0.28, 0.40, INVOICES),
        Fact("links that survive a year, by value", float(ends["v"][0]), 0.72, 0.86, INVOICES),
        Fact("void share", float(marks["void"][0]), 0.03, 0.12, INVOICES),
        Fact("red-letter share", float(marks["red"][0]), 0.0, 0.03, INVOICES),
        Fact("monthly coefficient of variation, median", float(np.median(swing)), 0.6, 1.3, INVOICES),
        Fact("February over a normal month, median", february(w), 0.26, 0.46, INVOICES),
    ]


def february(w: World) -> float:
    """February's sales over the mean of the other months, median over firms and years."""
    rows = w.rows(
        "with m as (select firm_id f, year(day) y, month(day) = 2 feb, sum(sales_fen) v from firm_day group by all), "
        "p as (select f, y, sum(case when feb then v end) a, sum(case when not feb then v end) / 11 b from m group by all) "
        "select a / b r from p where b > 0 and a is not null"
    )
    return float(np.median(rows["r"]))


def payments(w: World) -> list[Fact]:
    """Terms and delays of trade between firms of the economy, services left out."""
    rows = w.rows(
        "select due_on - issued_on terms, settled_on - due_on late from invoice where buyer_id between 0 and 9999999 "
        "and good <> 'service' and amount_fen > 0 and voided_on is null and planted_id is null and settled_on is not null "
        f"and issued_on <= date '{w.last}' - interval 400 day"
    )
    late = rows["late"][rows["late"] > 0]
    whole = float(np.mean(rows["terms"]) + np.mean(late))
    return [
        Fact("terms, days", float(np.mean(rows["terms"])), 60, 90, COFACE),
        Fact("delay when late, days", float(np.mean(late)), 55, 75, COFACE),
        Fact("terms and delay, days", whole, 125, 150, COFACE),
        Fact("late by more than 180 days, of late ones", float(np.mean(late > 180)), 0.05, 0.15, COFACE),
    ]


def exits(w: World) -> list[Fact]:
    """Yearly share of firms that close, by age."""
    rows = w.rows(
        "select founded_on - date '2000-01-01' f, coalesce(closed_on, date '2100-01-01') - date '2000-01-01' c from firm"
    )
    first, last = (w.one(f"select date '{d}' - date '2000-01-01'") for d in (w.facts["first_day"], w.last))
    founded, closed = rows["f"], rows["c"]

    def rate(low: float, high: float) -> float:
        begin = np.maximum(first, founded + low * 365)
        end = np.minimum(np.minimum(last, closed), founded + high * 365)
        spent = np.maximum(end - begin, 0).sum() / 365
        gone = ((closed >= begin) & (closed < founded + high * 365) & (closed <= last)).sum()
        return float(gone / spent) if spent > 0 else np.nan

    alive = (founded <= last) & (closed > last)
    age = (last - founded[alive]) / 365
    return [
        Fact("exits in year 1", rate(0, 1), 0.01, 0.03, SAIC),
        Fact("exits in year 2", rate(1, 2), 0.05, 0.08, SAIC),
        Fact("exits in year 3", rate(2, 3), 0.08, 0.11, SAIC),
        Fact("exits in years 4–7", rate(3, 7), 0.07, None, SAIC),
        Fact("exits, all ages", rate(0, 60), 0.06, 0.09, SAIC),
        Fact("younger than 5 years", float(np.mean(age < 5)), 0.45, 0.55, SAIC),
        Fact("older than 10 years", float(np.mean(age > 10)), 0.15, 0.22, SAIC),
    ]


def credit(w: World) -> list[Fact]:
    """Bad loans, first loans, guarantees, prices."""
    bad = "s.class in ('substandard', 'doubtful', 'loss')"
    stock = w.rows(
        f"with x as (select s.*, {bad} bad, f.size_class z from loan_status s join loan using (loan_id) join firm f using (firm_id)) "
        "select sum(case when bad and z in ('micro', 'small') then balance_fen end) / sum(case when z in ('micro', 'small') then "
        "balance_fen end) small, coalesce(sum(case when bad and z = 'large' then balance_fen end), 0) / "
        "sum(case when z = 'large' then balance_fen end) large from x where month > (select min(month) + 365 from x)"
    )
    yearly = bad_rates(w)
    age = w.one(
        "with a as (select firm_id, min(started_on) d from loan group by firm_id) select avg(a.d - founded_on) / 365.0 "
        "from a join firm using (firm_id) where a.d > (select min(day) + 365 from calendar_day)"
    )
    held = w.one("select avg(cast(security = 'guarantee' as int)) from loan")
    mutual = w.one(
        "with e as (select distinct guarantor_id a, firm_id b from guarantee) "
        "select avg(cast(r.a is not null as int)) from e left join e r on r.a = e.b and r.b = e.a"
    )
    price = w.rows(
        "select year(started_on) y, avg(rate_ratio) r from loan join firm using (firm_id) where size_class <> 'large' "
        "and started_on >= (select min(day) from calendar_day) group by y order by y"
    )
    record = w.one(
        f"select avg(cast(not has_bureau_record as int)) from firm where founded_on <= date '{w.facts['first_day']}'"
    )
    out = [
        Fact("bad loans, stock, small and micro", float(stock["small"][0]), 0.03, 0.05, BAD),
        Fact("bad loans, stock, large", float(stock["large"][0]), 0.0, 0.003, BAD),
        *yearly,
        Fact("age at the first loan, years", age, 3.5, 5.0, "Yi Gang 2018: 4 years 4 months"),
        Fact("firms without bureau record", record, 0.45, 0.60, "share assumed in the task"),
        Fact("loans with a guarantor", held, 0.20, 0.40, "Wang, Zhang and Yang 2020"),
        Fact("guarantees that are mutual (chance: near 0)", mutual, 0.02, None, "Wang, Zhang and Yang 2020"),
    ]
    for year, rate in zip(price["y"], price["r"], strict=True):
        low, high = {2019: (0.063, 0.073), 2025: (0.029, 0.037)}.get(int(year), (None, None))
        if low is not None:
            out.append(
                Fact(f"price of new small loans {int(year)}", float(rate), low, high, "CBIRC; bank reports 2025")
            )
    return out


def bad_rates(w: World) -> list[Fact]:
    """Share of borrowers without a default at a year's start that default within the year, by size, over all years."""
    rows = w.rows(
        "with y as (select distinct year(day) y from calendar_day), "
        "b as (select distinct y, firm_id from y join loan on started_on <= make_date(y, 1, 1) and "
        "coalesce(closed_on, date '2100-01-01') > make_date(y, 1, 1)), "
        "d as (select firm_id, min(past_due_90_on) p from default_event group by all) "
        "select b.y, f.size_class = 'micro' mi, f.size_class = 'small' sm, f.size_class in ('medium', 'large') me, "
        "f.kind = 'core' co, cast(coalesce(year(p) = b.y, false) as int) bad from b join firm f using (firm_id) "
        "left join d using (firm_id) where p is null or p >= make_date(b.y, 1, 1)"
    )
    bad = rows["bad"]

    def of(name: str) -> float:
        return float(bad[rows[name] == 1].mean()) if (rows[name] == 1).any() else np.nan

    micro, small, medium = of("mi"), of("sm"), of("me")
    return [
        Fact("borrowers that default within a year", float(bad.mean()), 0.03, 0.05, BAD),
        Fact("… micro less small", micro - small, 0.0, None, BAD),
        Fact("… small less medium and large", small - medium, 0.0, None, BAD),
        Fact("… cores", of("co"), 0.0, 0.005, BAD),
    ]


def futures(w: World) -> list[Fact]:
    """From forks, where there are any: asset correlation; from a bound, where there is one: information."""
    out = []
    for file in sorted(w.folder.glob("fork-????-??-??.parquet"))[-1:]:
        share = w.rows(
            f"select avg(cast(\"default\" as int)) s, count(*) n from '{file}' where at_risk group by future"
        )
        out.append(Fact("asset correlation across borrowers", asset_correlation(share["s"], share["n"]), 0.01, 0.03,
                        "Dietsch and Petey 2004"))  # fmt: skip
    for file in sorted(w.folder.glob("bound-*.json"))[-1:]:
        found = json.loads(file.read_text())
        best = found["bound"].get("auc", found["bound"].get("bound"))
        out.append(
            Fact("bound of the AUC on true PD", best, 0.77, 0.83, "IMF WP/20/193 and China Econ. Rev. 81 (2023)")
        )
    return out


def asset_correlation(share: np.ndarray, count: np.ndarray) -> float:
    """The one-factor correlation whose default rate varies over futures as seen (sampling noise taken off)."""
    p = share.mean()
    joint = max(np.var(share, ddof=1) - p * (1 - p) / count.mean(), 0) + p * p
    cut = stats.norm.ppf(p)

    def gap(rho: float) -> float:
        return stats.multivariate_normal.cdf([cut, cut], cov=[[1, rho], [rho, 1]]) - joint

    return 0.0 if joint <= p * p else float(brentq(gap, 1e-6, 0.9))


def makeup(w: World) -> list[Fact]:
    """Payables to assets, survival by capital, trade inside one community (reads the pairs that `degrees` left)."""
    ratio, more = structure.payables_to_assets(w)
    alive = structure.survival(w)
    assets = "Norden and van Kampen 2015"
    return [
        Fact("payables to assets, median", ratio, 0.10, 0.25, assets),
        Fact("… more for firms short of cash", more, 0.0, None, assets),
        *[
            Fact(f"ten-year survival, capital {name}", alive[name], target - 0.07, target + 0.07, SAIC)
            for name, _, _, target in structure.CAPITAL
        ],
        Fact("small firms that trade in one community", structure.inside_one_community(w), 0.3, 0.5, DEGREES),
    ]


MEASURES: list[Callable[[World], list[Fact]]] = [
    sizes,
    growth,
    degrees,
    invoices,
    payments,
    exits,
    credit,
    makeup,
    futures,
]


def measure(folder: Path) -> list[Fact]:
    """All facts of a world."""
    w = World(folder)
    return [fact for part in MEASURES for fact in part(w)]


def as_text(worlds: list[list[Fact]]) -> str:
    """A table: fact, mean over the worlds and range, interval, how many are inside, source."""
    lines = [f"{'fact':46} {'mean':>8} {'min … max':>19} {'target':>15} {'inside':>7}  source"]
    names = list(dict.fromkeys(f.name for facts in worlds for f in facts))
    for name in names:
        mine = [f for facts in worlds for f in facts if f.name == name]
        values = np.array([f.value for f in mine if f.inside is not None])
        target = f"{'' if mine[0].low is None else f'{mine[0].low:g}'} … {'' if mine[0].high is None else f'{mine[0].high:g}'}"
        if not len(values):
            lines.append(f"{name:46} {'–':>8} {'':19} {target:>15} {'':>7}  {mine[0].source}")
            continue
        inside = f"{sum(bool(f.inside) for f in mine)}/{len(mine)}"
        spread = f"{values.min():.3g} … {values.max():.3g}"
        lines.append(f"{name:46} {values.mean():8.3g} {spread:>19} {target:>15} {inside:>7}  {mine[0].source}")
    return "\n".join(lines)
