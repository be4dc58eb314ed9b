"""The card as SQL gives the very points, score, PD and grade that the card gives in memory."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_factories import CONFIG, bins, card

from ml.binning import nested_case, sql_double
from ml.configuration import MinimumHistory
from ml.reasons import reason_groups
from ml.scorecard import grade_of
from ml.sql import SOURCE, portfolio_sql, score_sql

finite = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def cards(draw):
    features = []
    for i in range(draw(st.integers(1, 4))):
        splits = tuple(sorted(set(draw(st.lists(finite, max_size=6)))))
        woe = tuple(draw(st.lists(st.floats(-3, 3), min_size=len(splits) + 1, max_size=len(splits) + 1)))
        features.append(bins(f"f {i}", splits, woe, draw(st.floats(-1, 1))))
    betas = tuple(draw(st.lists(st.floats(0.01, 2), min_size=len(features), max_size=len(features))))
    return card(*features, betas=betas, intercept=draw(st.floats(-4, 2)))


@settings(max_examples=60, deadline=None)
@given(cards(), st.data())
def test_sql_equals_python_bit_for_bit(fitted, data):
    """Values are drawn at random and exactly on the splits, where an off-by-one would show."""
    columns = {"enterprise_id": list("abcdefgh"), "as_of": ["2024-01-01"] * 8}
    for item in fitted.bins:
        pool = st.one_of(finite, st.none(), *([st.sampled_from(item.splits)] if item.splits else []))
        columns[item.feature] = data.draw(st.lists(pool, min_size=8, max_size=8))
    source = pd.DataFrame(columns).astype({item.feature: float for item in fitted.bins})
    found = duckdb.sql(score_sql(fitted, "source", "duckdb")).df().sort_values("enterprise_id")
    expected = fitted.score(source)
    assert found["score"].tolist() == expected.tolist()
    assert found["pd"].tolist() == np.asarray(fitted.pd_of_score(expected)).tolist()
    assert found["grade"].tolist() == [grade_of(value, fitted.grades) for value in found["pd"]]
    for feature, points in fitted.points(source).items():
        assert found[f"points__{feature}"].tolist() == points.tolist()


def test_comparisons_are_nested_to_the_depth_of_a_binary_search():
    text = nested_case("x", [str(i) for i in range(1, 8)], list("abcdefgh"))
    depth, deepest = 0, 0
    for word in text.split():
        depth += (word == "CASE") - (word == "END")
        deepest = max(deepest, depth)
    assert deepest == 3
    for value, wanted in ((0.5, "a"), (1, "b"), (6.9, "g"), (7, "h")):
        statement = nested_case("x", [str(i) for i in range(1, 8)], [f"'{c}'" for c in "abcdefgh"])
        assert duckdb.sql(f"SELECT {statement} FROM (SELECT {value} AS x)").fetchall() == [(wanted,)]


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_literals_keep_every_bit(value):
    assert duckdb.sql(f"SELECT {sql_double(value)}").fetchall()[0][0] == value


def test_the_portfolio_statement_names_its_source_once_and_refers_thin_files():
    fitted = card(bins("sales_amount_12m_cny", (1.0,), (0.5, -0.5)), betas=(1.0,), intercept=-2.0)
    text = portfolio_sql(
        fitted,
        reason_groups(fitted, CONFIG.features),
        MinimumHistory(months=6, active_sale_months=3),
        CONFIG.features.history,
    )
    assert text.count(SOURCE) == 1
    assert "history shorter than 6 months" in text
    assert "is_bad" not in text and "rating" not in text
