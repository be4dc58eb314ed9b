"""Seconds to join a training spine with features as known at each row's date, beside Feast's offline retrieval.

The same rows on both sides: firms × months × features in Parquet, from which this project's tables of gold are written
and published (half the features in each of the two). Feast reads them as it is told of features of several sources: one
feature view a family, with a file of its own, as many as this project has families (`--views`). The same spine: pairs
of firm and day, spread over all months. Both end with all columns in memory; this side's second figure also checks the
labels and freezes the set. Both are asked twice: the first call starts cold. Feast runs in a Python of its own:

    python3 -m venv FEAST && FEAST/bin/pip install "feast[duckdb]"
    .venv/bin/python benchmarks/training_set_against_feast.py --feast-python FEAST/bin/python
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FEAST = """
import json, sys, time
from datetime import timedelta
from pathlib import Path
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
room, kind, count, parts = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = FeatureStore(config=RepoConfig(
    project="bench", provider="local", registry=str(room / f"{kind}.db"), offline_store={"type": kind},
    online_store={"type": "sqlite", "path": str(room / f"{kind}.online")}, entity_key_serialization_version=3))
firm = Entity(name="firm", join_keys=["enterprise_id"])
names = [f"f{number:03d}" for number in range(count)]
families = {f"family{number}": names[number::parts] for number in range(parts)}
views = [FeatureView(name=family, entities=[firm], ttl=timedelta(days=32), online=False,
    source=FileSource(name=family, path=str(room / f"{family}.parquet"), timestamp_field="event_timestamp"),
    schema=[Field(name=name, dtype=Float64) for name in held]) for family, held in families.items()]
store.apply([firm, *views])
wanted = [f"{family}:{name}" for family, held in families.items() for name in held]
spine = pd.read_parquet(room / "spine.parquet")
spine = spine.assign(event_timestamp=pd.to_datetime(spine["as_of"], utc=True)).drop(columns="as_of")
seconds = []
for _ in range(2):
    started = time.monotonic()
    got = store.get_historical_features(spine, wanted).to_df()
    seconds.append(time.monotonic() - started)
print(json.dumps({"seconds": seconds, "rows": len(got), "sum": float(got[names].to_numpy().sum())}))
"""


def generate(room: Path, firms: int, months: int, count: int, spine: int, views: int) -> None:
    """features.parquet (firm × month), the same by family, and spine.parquet (firm, day, label) in the room."""
    chance = np.random.default_rng(7)
    days = pd.date_range("2019-01-01", periods=months, freq="MS")
    keys = pd.MultiIndex.from_product([days, [f"E{number:05d}" for number in range(firms)]]).to_frame(index=False)
    table = pa.table({"enterprise_id": keys[1], "as_of": pa.array(keys[0].dt.date, pa.date32())})
    stamps = pa.array(keys[0].dt.tz_localize("UTC"), pa.timestamp("us", "UTC"))
    table = table.append_column("event_timestamp", stamps)
    for number in range(count):
        table = table.append_column(f"f{number:03d}", pa.array(chance.normal(size=len(keys)).round(4)))
    pq.write_table(table, room / "features.parquet")
    names = [name for name in table.column_names if name.startswith("f")]
    for number in range(views):
        own = table.select(["enterprise_id", "event_timestamp", *names[number::views]])
        pq.write_table(own, room / f"family{number}.parquet")
    pairs = chance.choice(firms * months * 28, spine, replace=False)
    month, rest = np.divmod(pairs, firms * 28)
    firm, day = np.divmod(rest, 28)
    rows = pd.DataFrame({"enterprise_id": [f"E{number:05d}" for number in firm]})
    rows["as_of"] = days.to_numpy()[month] + day.astype("timedelta64[D]")
    rows["is_bad"] = (chance.random(spine) < 0.05).astype("int8")
    rows.to_parquet(room / "spine.parquet", index=False)


def ours(room: Path, count: int) -> tuple[list[float], float, int, float]:
    """Seconds of two retrievals, seconds to check and freeze, rows, sum of all features."""
    from lakehouse import engine, tables
    from ml import training_set
    from ml.configuration import get_config
    from spark_jobs import feature_access

    names = [f"f{number:03d}" for number in range(count)]
    parts = dict(zip(feature_access.TABLES, (names[: count // 2], names[count // 2 :]), strict=True))
    with engine.session() as spark:
        tables.ensure_schemas(spark)
        rows = spark.read.parquet(str(room / "features.parquet"))
        for table, held in parts.items():
            tables.overwrite(rows.select("as_of", "enterprise_id", *held), table)
        built = {table: tables.build_version(table) for table in parts}
        tables.publish(spark, built, "benchmark", "2024-01-01")
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        spine = training_set.read_spine(room / "spine.parquet")
        joined = feature_access.on_spine(training_set.to_arrow(spine), names)
        seconds.append(time.monotonic() - started)
    total = float(sum(np.sum(joined[name].to_numpy()) for name in names))
    started = time.monotonic()
    training_set.make(spine, joined, get_config().target, pd.Timestamp("2030-01-01"), {}, room / "sets")
    return seconds, time.monotonic() - started, joined.num_rows, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feast-python", required=True, type=Path)
    parser.add_argument("--firms", type=int, default=3000)
    parser.add_argument("--months", type=int, default=60)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--spine", type=int, default=150_000)
    parser.add_argument("--views", type=int, help="feature views at Feast; as many as families here otherwise")
    parser.add_argument("--stores", default="dask,duckdb", help="offline stores of Feast, dask being its default")
    given = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="training-set-"))
    os.environ["VINELAKE_VAR_DIR"] = str(room / "var")
    os.environ.setdefault("VINELAKE_ENGINE_PORT", "15198")
    from lakehouse import engine
    from spark_jobs.source_features import catalogue

    views = given.views or len(catalogue.load()) + 1  # and that of the invoices
    generate(room, given.firms, given.months, given.features, given.spine, views)

    engine.start()
    try:
        seconds, freezing, rows, total = ours(room, given.features)
    finally:
        engine.stop()
    of = f"{rows:,} rows × {given.features} features, {views} feature views at Feast, {datetime.date.today()}"
    print(f"| side | first | second | {of} |")
    print(f"| vinelake | {seconds[0]:.1f} s | {seconds[1]:.1f} s | + {freezing:.1f} s to check and freeze |")
    for kind in given.stores.split(","):
        words = [str(given.feast_python), "-W", "ignore", "-c", textwrap.dedent(FEAST), str(room), kind]
        done = subprocess.run([*words, str(given.features), str(views)], capture_output=True, text=True)
        if done.returncode:
            print(f"| Feast, {kind} | failed | | {done.returncode}: {done.stderr.strip()[-300:]} |")
            continue
        peer = json.loads(done.stdout.splitlines()[-1])
        same = peer["rows"] == rows and abs(peer["sum"] - total) < 1e-6 * max(1.0, abs(total))
        told = (
            "same rows and values" if same else f"OTHER: {peer['rows']:,} rows, sum {peer['sum']:.4f} for {total:.4f}"
        )
        print(f"| Feast, {kind} | {peer['seconds'][0]:.1f} s | {peer['seconds'][1]:.1f} s | {told} |")


if __name__ == "__main__":
    main()
