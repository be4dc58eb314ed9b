"""Facts that are measured on the makeup of a world: communities, survival, what is passed on to suppliers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import block_diag, csr_matrix

from sources.economy import calibrate, kernel, passing, world
from sources.economy import calibrate_structure as structure


def test_communities_are_found_where_they_were_put() -> None:
    rng = np.random.default_rng(3)
    block = [np.triu(rng.random((30, 30)) < 0.4, 1) for _ in range(4)]
    whole = block_diag([b + b.T for b in block]).toarray().astype(float)
    for a, b in rng.integers(0, 120, (12, 2)):
        whole[a, b] = whole[b, a] = float(a != b)
    label = structure.communities(csr_matrix(whole), 1)
    for part in range(4):
        names, counts = np.unique(label[part * 30 : part * 30 + 30], return_counts=True)
        assert counts.max() >= 28, names


def test_survival_is_the_product_of_yearly_hazards(tmp_path) -> None:
    rng = np.random.default_rng(4)
    n, yearly = 60_000, 0.07
    founded = np.datetime64("2009-01-01") + rng.integers(0, 3650, n)
    closed = founded + (rng.exponential(1 / yearly, n) * 365).astype(int)
    last = np.datetime64("2020-12-31")
    rows = {
        "capital_fen": np.full(n, 50_000_000),
        "founded_on": founded,
        "closed_on": pa.array(closed.astype("datetime64[D]"), mask=closed > last),
    }
    (tmp_path / "firm").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "firm" / "part.parquet")
    facts = '{"tables": {"firm": {}}, "firms": 60000, "first_day": "2019-01-01", "last_day": "2020-12-31", "seed": 1}'
    (tmp_path / "world.json").write_text(facts)
    alive = structure.survival(calibrate.World(tmp_path))
    assert alive["below 1 m"] == pytest.approx(np.exp(-0.7), abs=0.02)
    assert np.isnan(alive["above 10 m"])


def test_a_loss_of_cash_reaches_suppliers_and_leaves_the_run_alone() -> None:
    run = world.prepare(200, 0.5, 5, "2019-01-01", plant=False, burn=90)
    for _ in range(100):
        kernel.step(run)
    before, cash = run.day, run.state.cash.copy()
    found = passing.passed_on(run, futures=2, days=20)
    assert run.day == before
    assert (run.state.cash == cash).all()
    assert np.isfinite([found.short, found.liquid]).all()
