"""Seconds to compute every feature of one date: Spark through dbt, beside DuckDB through the test oracle.

Both start from the same raw files. The Spark side is timed from published silver (as the job runs), and from
the raw files; DuckDB always reads the raw files, so it has the harder task in the first comparison and the same
in the second. Starts and stops an engine of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=Path, required=True)
    parser.add_argument("--as-of", required=True)
    arguments = parser.parse_args()
    os.environ["VINELAKE_VAR_DIR"] = tempfile.mkdtemp(prefix="features-")
    os.environ.setdefault("VINELAKE_ENGINE_PORT", "15199")

    import duckdb
    import pyspark

    from expectations.gate import gate
    from lakehouse import engine
    from spark_jobs import bronze, features, landing, silver
    from tests.oracle import features_oracle

    day = datetime.date.fromisoformat(arguments.as_of)
    engine.start()
    try:
        ingest = seconds(lambda: (landing.land(arguments.as_of, arguments.invoices), bronze.build(arguments.as_of)))
        gates = seconds(lambda: gate("bronze", arguments.as_of))
        conform = seconds(lambda: silver.build(arguments.as_of))
        gates += seconds(lambda: gate("silver", arguments.as_of))
        spark_features = seconds(lambda: features.build(arguments.as_of))
        dates = 1
        with engine.session() as spark:
            dates = spark.sql("SELECT count(DISTINCT as_of) FROM gold_build.enterprise_features").collect()[0][0]
    finally:
        engine.stop()
    duck = seconds(lambda: features_oracle.features(arguments.invoices, day, day))
    print("| date | versions | land + bronze | gates | silver | features (dates) | DuckDB, one date, from raw files |")
    print(
        f"| {datetime.date.today()} | Spark {pyspark.__version__}, DuckDB {duckdb.__version__} | {ingest:.0f} s | "
        f"{gates:.0f} s | {conform:.0f} s | {spark_features:.0f} s ({dates}) | {duck:.1f} s |"
    )


if __name__ == "__main__":
    main()
