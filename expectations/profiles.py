"""A batch in figures, by its contract: how many rows, where amounts lie, which shares codes have, how old, what came
before.

Computed in one pass over the new rows of a table, whatever lies before them, and kept in `control.batch_profile` when
the batch is published. Sums of single values, and values themselves, are never kept: quartiles, shares and hashes of
keys are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import log10
from typing import TYPE_CHECKING, Any

from expectations.history import Profile, Statistic
from lakehouse import control, tables
from lakehouse.contracts import Column, Contract
from lakehouse.errors import IntegrityError
from lakehouse.time import utc_now

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

WITHOUT_KEYS = (
    "batch_id string, contract string, received_on date, span_days int, "
    "statistics map<string, struct<value: double, count: bigint, spread: double>>, keyed_rows bigint"
)
KEYS_ALONE = "batch_id string, contract string, keys array<bigint>, key_bound bigint"
PROFILE_SCHEMA = (
    "batch_id string, contract string, received_on date, span_days int, "
    "statistics map<string, struct<value: double, count: bigint, spread: double>>, "
    "keys array<bigint>, key_bound bigint, keyed_rows bigint, recorded_at timestamp"
)
KEY_SPACE = 1 << 62
KEYS_KEPT = 512  # about so many hashes of keys a batch
BATCHES_WITH_KEYS = 30  # so many batches back a key is looked for
DAYS_COMPARED = 400  # a year, and the season to both sides of its day
QUARTILES = ("q25", "q50", "q75")
ACCURACY = 1000  # of a quartile: one in a thousand ranks
QUARTILES_TO_SD = 1.349  # between the quartiles of a normal distribution lie so many standard deviations
MOST_CODES = 40
HASH = f"xxhash64(record_key) & {KEY_SPACE - 1}"


@dataclass(frozen=True)
class Arrival:
    """A batch of a feed that waits for its gate: its rows as booked, and the days since the batch before it."""

    batch_id: str
    received_on: date
    rows: int
    span_days: int | None


@dataclass(frozen=True)
class _Measure:
    """A figure of an aggregate: its statistics' names, its SQL, and the SQL of the rows it rests on."""

    names: tuple[str, ...]
    value: str
    count: str


def arrivals(
    contract: Contract, booked: Iterable[Row], waiting: Collection[str], released: Mapping[tuple[str, str], int]
) -> list[Arrival]:
    """The batches of a feed that wait, in the order in which they came; `booked`: the ledger's rows of all its batches.

    The days that a batch covers are counted from the day of the batch before, with or without rows. Those of the feed's
    first day cover none, for they bring its history, nor do those that hold nothing but rows let out of quarantine
    (`released`: their number by contract and partition).
    """
    mine = [r for r in booked if r["contract"] == contract.id]
    again = {r["batch_id"] for r in mine if 0 < r["rows_in"] <= released.get((contract.id, r["partition"]), 0)}
    days = sorted({date.fromisoformat(r["partition"]) for r in mine if r["batch_id"] not in again})
    before = dict(zip(days[1:], days, strict=False))
    found = []
    for row in sorted(mine, key=lambda r: (r["partition"], r["recorded_at"])):
        rows, day = row["rows_accepted"] + row["rows_duplicate"], date.fromisoformat(row["partition"])
        if row["batch_id"] in waiting and rows:
            span = (day - before[day]).days if day in before and row["batch_id"] not in again else None
            found.append(Arrival(row["batch_id"], day, rows, span))
    return found


def measure(spark: SparkSession, contract: Contract, build: str, batches: Sequence[Arrival]) -> dict[str, Profile]:
    """The profiles of some batches by id; `build` is the relation that holds their rows. All but what came before."""
    if not batches:
        return {}
    measures = _measures(contract)
    bounds = {b.batch_id: KEY_SPACE if b.rows <= 2 * KEYS_KEPT else KEY_SPACE * KEYS_KEPT // b.rows for b in batches}
    listed = ", ".join(f"'{batch}', {bound}L" for batch, bound in bounds.items())
    figures = [f"{m.value} AS v{i}, {m.count} AS n{i}" for i, m in enumerate(measures)]
    rows = spark.sql(
        f"SELECT batch_id, {', '.join(figures)}, count_if(h < bound) AS keyed, "
        "collect_set(CASE WHEN h < bound THEN h END) AS keys "
        f"FROM (SELECT *, {HASH} AS h, element_at(map({listed}), batch_id) AS bound FROM {build} "
        f"WHERE batch_id IN ({', '.join(map(repr, bounds))})) GROUP BY batch_id"
    ).collect()
    told = {row["batch_id"]: row for row in rows}
    if missing := sorted(set(bounds) - set(told)):
        raise _not_built(missing[0], contract, len(missing))
    unknown = _unknown(spark, contract, build, batches)
    found = {}
    for arrival in batches:
        row = told[arrival.batch_id]
        statistics = _statistics(measures, row, max(arrival.span_days or 1, 1)) | unknown.get(arrival.batch_id, {})
        found[arrival.batch_id] = Profile(
            arrival.batch_id,
            contract.id,
            arrival.received_on,
            arrival.span_days,
            statistics,
            frozenset(row["keys"]),
            bounds[arrival.batch_id],
            row["keyed"],
        )
    return found


def _not_built(batch_id: str, contract: Contract, batches: int) -> IntegrityError:
    others = f", nor of {batches - 1} others" if batches > 1 else ""
    return IntegrityError(
        f"the build holds no row of batch {batch_id}{others}, though the batch ledger counts rows of it",
        where=tables.build_name(contract.bronze_table),
        remedy="nothing was published; run the step `bronze` again, then the gate",
    )


def stored(contracts: Collection[str], since: date, published: Collection[str]) -> dict[str, list[Profile]]:
    """Per contract the profiles of its published batches received since a day, in order of their days.

    Keys come with the newest batches alone, by which a delivery that is sent again is known.
    """
    rows = control.rows("batch_profile", WITHOUT_KEYS, "contract", contracts)
    rows = [row for row in rows if row["received_on"] >= since and row["batch_id"] in published]
    found: dict[str, list[Any]] = {contract: [] for contract in contracts}
    for row in sorted(rows, key=lambda r: (r["received_on"], r["batch_id"])):
        found[row["contract"]].append(row)
    newest = [row["batch_id"] for told in found.values() for row in told[-BATCHES_WITH_KEYS:]]
    keys = {(r["batch_id"], r["contract"]): r for r in control.rows("batch_profile", KEYS_ALONE, "batch_id", newest)}
    return {contract: [_profile(row, keys) for row in told] for contract, told in found.items()}


def _profile(row: Mapping[str, Any], keys: Mapping[tuple[str, str], Mapping[str, Any]]) -> Profile:
    held = keys.get((row["batch_id"], row["contract"]), {"keys": (), "key_bound": 0})
    return Profile(
        row["batch_id"],
        row["contract"],
        row["received_on"],
        row["span_days"],
        {name: Statistic(**figures) for name, figures in row["statistics"].items()},
        frozenset(held["keys"]),
        held["key_bound"],
        row["keyed_rows"],
    )


def store(profiles: Collection[Profile]) -> None:
    """Keeps the profiles of batches; a repeat replaces them."""
    if not profiles:
        return
    rows = [
        (
            p.batch_id,
            p.contract,
            p.received_on,
            p.span_days,
            {name: (s.value, s.count, s.spread) for name, s in p.statistics.items()},
            sorted(p.keys),
            p.key_bound,
            p.keyed_rows,
            utc_now(),
        )
        for p in profiles
    ]
    control.merge("batch_profile", PROFILE_SCHEMA, rows, ("batch_id", "contract"))


def _measures(contract: Contract) -> list[_Measure]:
    found = [_Measure(("volume",), "cast(count(*) AS double)", "count(*)")]
    ordering = {*contract.keys, *contract.version_order}
    for column in contract.columns:
        if column.is_transport or column.is_personal:
            continue
        if _is_amount(column, ordering):
            found += _of_amount(column)
        if column.spark_type in ("date", "timestamp") and _tells_age(column, contract):
            age = f"datediff(received_on, cast(`{column.name}` AS date))"
            found.append(_quartiles(f"age:{column.name}", age))
        found += _of_shares(column)
    return found


def _is_amount(column: Column, ordering: Collection[str]) -> bool:
    return column.name not in ordering and column.spark_type.startswith(("decimal", "bigint"))


def _tells_age(column: Column, contract: Contract) -> bool:
    """Whether a day of a column should be as recent as the delivery is: when it happened, or was published."""
    return column.name == contract.known_at.event_column or (column.not_after_received and column.required)


def _of_amount(column: Column) -> list[_Measure]:
    name = column.name
    size = f"log10(abs(cast(CASE WHEN `{name}` <> 0 THEN `{name}` END AS double)))"
    return [
        _quartiles(f"location:{name}", size),
        _share(f"share:{name}:zero", f"`{name}` = 0"),
        _share(f"share:{name}:negative", f"`{name}` < 0"),
    ]


def _of_shares(column: Column) -> list[_Measure]:
    name, found = column.name, []
    codes = {code for held in (column.codes, *(v.codes or {} for v in column.variants)) for code in held.values()}
    if column.spark_type == "string" and len(codes) <= MOST_CODES:
        found += [_share(f"share:{name}:{code}", f"`{name}` = '{code}'") for code in sorted(codes)]
    if column.spark_type == "boolean":
        found.append(_share(f"share:{name}:true", f"`{name}`"))
    if not column.required:
        found.append(_share(f"share:{name}:missing", f"`{name}` IS NULL"))
    return found


def _quartiles(rule: str, expression: str) -> _Measure:
    quartiles = f"percentile_approx({expression}, array(0.25, 0.5, 0.75), {ACCURACY})"
    return _Measure(
        tuple(f"{rule}:{q}" for q in QUARTILES), f"cast({quartiles} AS array<double>)", f"count({expression})"
    )


def _share(name: str, condition: str) -> _Measure:
    return _Measure((name,), f"avg(CASE WHEN {condition} THEN 1D ELSE 0D END)", "count(*)")


def _statistics(measures: Sequence[_Measure], row: Row, span_days: int) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    for i, measure in enumerate(measures):
        value, count = row[f"v{i}"], row[f"n{i}"]
        if not count or value is None:
            continue
        if isinstance(value, list):
            spread = (value[2] - value[0]) / QUARTILES_TO_SD
            found |= {name: Statistic(v, count, spread) for name, v in zip(measure.names, value, strict=True)}
        else:
            volume = measure.names == ("volume",)
            found[measure.names[0]] = Statistic(log10(value / span_days) if volume else value, count)
    return found


def _unknown(
    spark: SparkSession, contract: Contract, build: str, batches: Sequence[Arrival]
) -> dict[str, dict[str, Statistic]]:
    """Per batch and referencing column the share of its rows whose value the referenced column does not hold.

    The referenced table is read as built: what came with the batch counts. Where it never came, nothing can be said.
    """
    found: dict[str, dict[str, Statistic]] = {}
    within = f"batch_id IN ({', '.join(repr(b.batch_id) for b in batches)})"
    for column in contract.columns:
        target = f"bronze.{column.references.contract}" if column.references else None
        if target is None or not tables.has_build(target):
            continue
        for row in spark.sql(_unknown_sql(column, build, within, tables.build_name(target))).collect():
            share = Statistic(row["unknown_rows"] / row["given_rows"], row["given_rows"])
            found.setdefault(row["batch_id"], {})[f"unknown:{column.name}"] = share
    return found


def _unknown_sql(column: Column, build: str, within: str, target: str) -> str:
    assert column.references
    new = f"SELECT batch_id, `{column.name}` AS given FROM {build} WHERE {within} AND `{column.name}` IS NOT NULL"
    known = f"SELECT DISTINCT `{column.references.column}` AS known FROM {target}"
    return (
        f"SELECT batch_id, count(*) AS given_rows, count_if(known IS NULL) AS unknown_rows FROM ({new}) "
        f"LEFT JOIN ({known}) ON given = known GROUP BY batch_id"
    )
