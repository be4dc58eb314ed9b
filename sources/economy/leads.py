"""How long before a default each source shows it: trailing indicators, thresholds at one false alarm rate, lead times.

Every indicator is computed on each seventh day from visible columns alone, as it could be known that day, and oriented
so that larger is worse:

- flows (orders received, metered energy, invoices issued): minus the log of the last 60 days over the firm's own level
  of the year before, less the median of the firm's chain on that day. The peers' median takes out season and cycle.
- payments to suppliers: share of last half-year's purchase invoices, now older than 90 days, without a payment.
- bureau: enquiries of the last 90 days. Courts: cases filed against the firm in the last year.
- arrears (social insurance, tax): share of what fell due in the last four months that is not paid.
- balances: minus the mean balance of 30 days over its year's spread between low and inflow.
- statements: minus the profit margin of the newest statement handed in.

An indicator raises an alarm where it is above its threshold; the threshold leaves the same share of firm-weeks of
borrowers that never default in alarm. The lead is the time from the change point to the default (90 days past due): the
first alarm of the span before the default, two years at most, in which days in alarm outnumber the others by the most.
A default without such a span has lead zero. Beside the leads of single firms stands the day since which defaulters
stand out as a group: the earliest day before default from which, for two months on end, at least twice as many of them
are in alarm as of sound firms.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import duckdb
import numpy as np

from sources.economy.schema import TABLES

STEP = 7
FALSE_ALARMS = 0.10
LONGEST_DAYS = 730
GROUP_DAYS = 63
LEAST_HISTORY = 200  # days before which a firm has no level of its own
PROPOSED = {
    "orders": 240,
    "electricity": 180,
    "equipment": 180,
    "invoices": 150,
    "payments to suppliers": 120,
    "bureau enquiries": 90,
    "social insurance arrears": 90,
    "balances": 60,
    "tax arrears": 60,
    "courts": 30,
    "statements": 0,
}


@dataclass(frozen=True)
class Lead:
    """One source: defaults it could see, share of them in alarm, lead in days, the proposed median."""

    source: str
    defaults: int
    in_alarm_ratio: float
    median_days: float
    median_days_in_alarm: float
    quartile_days: tuple[float, float]
    group_days: int
    threshold: float
    false_alarm_ratio: float
    proposed_days: int


class World:
    """Arrays [day, firm] of a written world, read from its visible columns."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        facts = json.loads((self.folder / "world.json").read_text())
        self.first = np.datetime64(facts["first_day"], "D")
        self.days = int((np.datetime64(facts["last_day"], "D") - self.first).astype(int)) + 1
        self.connection = duckdb.connect()
        self.connection.execute("set enable_progress_bar = false")
        self.connection.execute(f"create macro first() as date '{self.first}'")
        for name, table in TABLES.items():
            files = f"{self.folder}/{name}/*.parquet"
            single = self.folder / f"{name}.parquet"
            source = str(single) if single.exists() else files
            columns = ", ".join(f'"{c}"' for c in table.visible) or "*"
            if single.exists() or list((self.folder / name).glob("*.parquet")):
                self.connection.execute(f"create view {name} as select {columns} from read_parquet('{source}')")
        self.firms = int(self.connection.execute("select max(firm_id) + 1 from firm").fetchone()[0])
        self.grid = np.arange(STEP - 1, self.days, STEP)

    def daily(self, query: str) -> np.ndarray:
        """[day, firm] float64 sums of a query that gives firm, day number, value."""
        rows = self.connection.execute(query).fetchnumpy()
        firm, day, value = (np.asarray(rows[c]) for c in ("firm", "day", "value"))
        out = np.zeros((self.days, self.firms))
        keep = (firm >= 0) & (firm < self.firms) & (day >= 0) & (day < self.days)
        np.add.at(out, (day[keep].astype(int), firm[keep].astype(int)), value[keep].astype(float))
        return out

    def spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and last day of each firm in the run, and the day of its default (or −1)."""
        rows = self.connection.execute("""
            select f.firm_id as firm, date_diff('day', first(), f.founded_on) as born,
                coalesce(date_diff('day', first(), f.closed_on), 1000000) as gone,
                coalesce(date_diff('day', first(), d.past_due_90_on), -1) as failed
            from firm f left join default_event d using (firm_id)""").fetchnumpy()
        born, gone = np.full(self.firms, 10**6), np.full(self.firms, -1)
        failed = np.full(self.firms, -1)
        born[rows["firm"]], gone[rows["firm"]], failed[rows["firm"]] = rows["born"], rows["gone"], rows["failed"]
        return np.maximum(born, 0), np.minimum(gone, self.days - 1), failed

    def borrowers(self) -> np.ndarray:
        """Firms that ever had a loan: only they can default."""
        out = np.zeros(self.firms, bool)
        out[self.connection.execute("select distinct firm_id from loan").fetchnumpy()["firm_id"]] = True
        return out

    def chains(self) -> np.ndarray:
        """A number by firm for its chain."""
        rows = self.connection.execute("select firm_id, hash(chain) % 1000003 as chain from firm").fetchnumpy()
        out = np.zeros(self.firms, np.int64)
        out[rows["firm_id"]] = rows["chain"].astype(np.int64)
        return out


def trailing(values: np.ndarray, grid: np.ndarray, window: int) -> np.ndarray:
    """Sums over the `window` days that end on each day of the grid: [grid, firm]."""
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return total[grid + 1] - total[np.maximum(grid + 1 - window, 0)]


def flow_indicator(values: np.ndarray, grid: np.ndarray, born: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Fall of a flow's last 60 days against the firm's own year before and its peers; NaN without history."""
    recent = trailing(values, grid, 60) / 60
    before = np.clip(grid[:, None] - 60 - np.maximum(born[None, :], grid[:, None] - 425), 1, 365)
    older = (trailing(values, grid, 425) - trailing(values, grid, 60)) / before
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = -np.log((recent + 0.02 * older) / (1.02 * older))
    fall[(older <= 0) | (grid[:, None] - born[None, :] < LEAST_HISTORY)] = np.nan
    for code in np.unique(chain):
        mine = chain == code
        counted = np.isfinite(fall[:, mine]).any(axis=1)
        middle = np.zeros(len(grid))
        middle[counted] = np.nanmedian(fall[counted][:, mine], axis=1)
        fall[:, mine] -= middle[:, None]
    return fall


def indicators(world: World) -> dict[str, np.ndarray]:
    """Every source's indicator, [grid, firm], larger is worse, NaN where the source says nothing."""
    born, _, _ = world.spans()
    chain = world.chains()
    flow = {
        "orders": "select seller_id as firm, date_diff('day', first(), ordered_on) as day, sum(amount_fen) as value"
        " from trade_order where seller_id < 10000000 group by 1, 2",
        "electricity": "select firm_id as firm, date_diff('day', first(), day) as day, energy_kwh as value"
        " from electricity",
        "equipment": "select m.firm_id as firm, date_diff('day', first(), hour_at::date) as day,"
        " sum(running_minutes) as value from equipment_hour join equipment m using (equipment_id) group by 1, 2",
        "invoices": "select seller_id as firm, date_diff('day', first(), issued_on) as day, sum(amount_fen) as value"
        " from invoice where voided_on is null and seller_id < 10000000 group by 1, 2",
    }
    out = {name: flow_indicator(world.daily(query), world.grid, born, chain) for name, query in flow.items()}
    out["payments to suppliers"] = _unpaid(world)
    out["bureau enquiries"] = trailing(_enquiries(world), world.grid, 90)
    out["social insurance arrears"] = _arrears(world, "social_insurance", "due_fen", 45)
    out["balances"] = _balances(world)
    out["tax arrears"] = _arrears(world, "tax_return", "payable_fen", 45)
    out["courts"] = trailing(_cases(world), world.grid, 365)
    out["statements"] = _statements(world)
    return out


def _enquiries(world: World) -> np.ndarray:
    return world.daily("""select firm_id as firm, date_diff('day', first(), enquired_on) as day, count(*) as value
        from bureau_enquiry group by 1, 2""")


def _cases(world: World) -> np.ndarray:
    return world.daily("""select defendant_id as firm, date_diff('day', first(), filed_on) as day, count(*) as value
        from court_case group by 1, 2""")


def _unpaid(world: World) -> np.ndarray:
    """Share of purchases of 90 to 270 days ago without a payment, by amount."""
    paid = "select invoice_id, min(paid_at)::date as paid_on from payment where invoice_id is not null group by 1"
    back = (
        "select red_of_id as invoice_id, sum(total_fen) as back_fen from invoice where red_of_id is not null group by 1"
    )
    base = f"""from invoice i left join ({paid}) p using (invoice_id) left join ({back}) r using (invoice_id)
        where i.buyer_id between 0 and 9999999 and i.voided_on is null and i.red_of_id is null
            and coalesce(r.back_fen, 0) + i.total_fen > 0"""
    issued = world.daily(f"""select i.buyer_id as firm, date_diff('day', first(), i.issued_on) as day,
        sum(i.total_fen) as value {base} group by 1, 2""")
    # An invoice is overdue from its 90th day until it is paid or 270 days old.
    until = (
        "least(coalesce(date_diff('day', first(), p.paid_on), 1000000), date_diff('day', first(), i.issued_on) + 270)"
    )
    begin = "date_diff('day', first(), i.issued_on) + 90"
    opened = world.daily(
        f"select i.buyer_id as firm, {begin} as day, i.total_fen as value {base} and {until} > {begin}"
    )
    closed = world.daily(
        f"select i.buyer_id as firm, {until} as day, i.total_fen as value {base} and {until} > {begin}"
    )
    stock = np.cumsum(opened - closed, axis=0)[world.grid]
    bought = trailing(issued, world.grid, 270) - trailing(issued, world.grid, 90)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bought > 0, stock / bought, np.nan)


def _arrears(world: World, table: str, due: str, grace: int) -> np.ndarray:
    """Share unpaid of what fell due in the last four months; due `grace` days after the period's end."""
    day = "date_diff('day', first(), period) + 30"
    owed = world.daily(
        f"select firm_id as firm, {day} + {grace} as day, sum({due}) as value from {table} group by 1, 2"
    )
    paid = world.daily(f"""select firm_id as firm, greatest(date_diff('day', first(), paid_on), {day} + {grace}) as day,
        sum(paid_fen) as value from {table} where paid_on is not null group by 1, 2""")
    window = 120
    with np.errstate(divide="ignore", invalid="ignore"):
        total = trailing(owed, world.grid, window)
        left = np.cumsum(owed - paid, axis=0)[world.grid]
        return np.where(total > 0, np.maximum(left, 0) / total, np.nan)


def _balances(world: World) -> np.ndarray:
    """Minus the last month's mean balance above the year's low, in days of outflow."""
    net = world.daily("""
        select payee_id as firm, date_diff('day', first(), paid_at::date) as day, sum(amount_fen) as value
        from payment where payee_id between 0 and 9999999 group by 1, 2 union all
        select payer_id, date_diff('day', first(), paid_at::date), -sum(amount_fen)
        from payment where payer_id between 0 and 9999999 group by 1, 2""")
    out = world.daily("""select payer_id as firm, date_diff('day', first(), paid_at::date) as day,
        sum(amount_fen) as value from payment where payer_id between 0 and 9999999 group by 1, 2""")
    balance = np.cumsum(net, axis=0)
    mean = trailing(balance, world.grid, 30) / 30
    outflow = trailing(out, world.grid, 365) / 365
    low = np.stack([balance[max(0, t - 364) : t + 1].min(axis=0) for t in world.grid])
    with np.errstate(divide="ignore", invalid="ignore"):
        cover = np.where(outflow > 0, (mean - low) / outflow, np.nan)
    cover[world.grid < LEAST_HISTORY] = np.nan
    return -cover


def _statements(world: World) -> np.ndarray:
    """Minus the profit margin of the newest statement handed in by each day of the grid."""
    rows = world.connection.execute("""
        select firm_id, date_diff('day', first(), handed_in_on) as day, 
            profit_fen / nullif(revenue_fen, 0)::double as margin
        from statement where revenue_fen > 0 order by handed_in_on""").fetchnumpy()
    out = np.full((len(world.grid), world.firms), np.nan)
    for firm, day, margin in zip(rows["firm_id"], rows["day"], rows["margin"], strict=True):
        out[np.searchsorted(world.grid, day) :, firm] = -margin
    return out


def lead_of(values: np.ndarray, grid: np.ndarray, born, gone, failed, source: str, able: np.ndarray) -> Lead:
    """Threshold at the common false alarm rate among those `able` to default that never do; leads of those that do."""
    proposed = PROPOSED.get(source, 0)
    alive = (grid[:, None] >= born[None, :]) & (grid[:, None] <= gone[None, :])
    sound = ((failed < 0) & able)[None, :] & alive & np.isfinite(values)
    if not sound.any():
        return Lead(source, 0, 0.0, 0.0, 0.0, (0.0, 0.0), 0, 0.0, 0.0, proposed)
    threshold = float(np.quantile(values[sound], 1 - FALSE_ALARMS))
    alarm = values > threshold
    false_alarms = float(alarm[sound].mean())
    paths = [p for p in (_path(values, alarm, grid, failed, f) for f in np.flatnonzero(failed >= 0)) if p is not None]
    if not paths:
        return Lead(source, 0, 0.0, 0.0, 0.0, (0.0, 0.0), 0, threshold, false_alarms, proposed)
    lead = np.array([standing(p) for p in paths]) * float(STEP)
    raised = lead[lead > 0]
    low, high = np.quantile(lead, [0.25, 0.75])
    return Lead(
        source,
        len(lead),
        float((lead > 0).mean()),
        float(np.median(lead)),
        float(np.median(raised)) if len(raised) else 0.0,
        (float(low), float(high)),
        stands_out(paths, false_alarms),
        threshold,
        false_alarms,
        proposed,
    )


def _path(values, alarm, grid, failed, firm: int) -> np.ndarray | None:
    """Alarms of a defaulter by steps before its default, newest first; None where the source never spoke."""
    last = int(np.searchsorted(grid, failed[firm]) - 1)
    if last < 0 or not np.isfinite(values[: last + 1, firm]).any():
        return None
    first = max(0, last + 1 - LONGEST_DAYS // STEP)
    return alarm[first : last + 1, firm][::-1]


def standing(path: np.ndarray) -> int:
    """Steps in the span before default in which alarms outnumber quiet days by the most; `path` is newest first."""
    if not len(path):
        return 0
    score = np.cumsum(np.where(path, 1, -1))
    best = int(score.argmax())
    return best + 1 if score[best] > 0 else 0


def stands_out(paths: list[np.ndarray], false_alarms: float) -> int:
    """Days before default since which alarms are twice as common as among sound firms, for `GROUP_DAYS` on end."""
    length = max(map(len, paths))
    share = np.array([np.mean([p[i] for p in paths if len(p) > i]) for i in range(length)])
    counted = np.array([sum(len(p) > i for p in paths) for i in range(length)]) >= min(20, len(paths))
    out = (share >= 2 * false_alarms) & counted
    need, run, best = GROUP_DAYS // STEP, 0, 0
    for i, above in enumerate(out):
        run = run + 1 if above else 0
        if run >= need:
            best = i + 1
    return best * STEP


def measure(folder: Path) -> list[Lead]:
    """The leads of every source in a written world."""
    world = World(folder)
    born, gone, failed = world.spans()
    able = world.borrowers()
    return [lead_of(v, world.grid, born, gone, failed, name, able) for name, v in indicators(world).items()]


def as_text(found: list[Lead]) -> str:
    """A table for people."""
    head = f"{'source':26}{'defaults':>9}{'in alarm':>10}{'median':>8}{'if alarm':>10}{'quartiles':>13}{'group':>8}"
    rows = [
        f"{x.source:26}{x.defaults:9d}{x.in_alarm_ratio:10.0%}{x.median_days:8.0f}{x.median_days_in_alarm:10.0f}"
        f"{x.quartile_days[0]:7.0f}–{x.quartile_days[1]:<5.0f}{x.group_days:8d}{x.proposed_days:10d}"
        for x in found
    ]
    head += f"{'proposed':>10}"
    note = f"Lead in days before 90 days past due; thresholds leave {FALSE_ALARMS:.0%} of sound firm-weeks in alarm."
    return "\n".join([head, *rows, note])


@click.command()
@click.option("--world", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leads(world: Path, as_json: bool) -> None:
    """Lead time of each source before default, beside the proposed medians."""
    try:
        found = measure(world)
    except (FileNotFoundError, duckdb.Error) as error:
        raise click.ClickException(f"The world {world} cannot be measured: {error}") from error
    click.echo(json.dumps([asdict(x) for x in found], indent=1) if as_json else as_text(found))
