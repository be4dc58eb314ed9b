"""Scores by hand, against brute force, and at their ends: a perfect answer is one."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from grader import scoring
from grader.scoring import Share

records = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


@given(records)
@settings(max_examples=150, deadline=None)
def test_pairs_equal_brute_force(rows):
    said, true, some = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [(i, j) for i, j in itertools.combinations(range(len(rows)), 2) if some[i] or some[j]]
    linked = [said[i] == said[j] for i, j in pairs]
    same = [true[i] == true[j] for i, j in pairs]
    both = sum(a and b for a, b in zip(linked, same, strict=True))
    precision, recall = scoring.pairwise(said, true, some)
    assert (precision.hits, precision.of, recall.hits, recall.of) == (both, sum(linked), both, sum(same))


def test_pairs_by_hand():
    # Firm 1 has three keys, firm 2 has two; one key of firm 1 was given to firm 2's enterprise.
    precision, recall = scoring.pairwise(np.array(["a", "a", "b", "b", "b"]), np.array([1, 1, 1, 2, 2]))
    assert (precision.hits, precision.of) == (2, 4)
    assert (recall.hits, recall.of) == (2, 4)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20).filter(lambda x: len(set(x)) < len(x)))
def test_a_perfect_link_is_one_whatever_its_names(true):
    precision, recall = scoring.pairwise(np.array([f"e{t}" for t in true]), np.array(true))
    assert precision.value == recall.value == 1


def test_a_share_of_nothing_is_not_a_number():
    assert np.isnan(Share(0, 0).value)
    assert all(np.isnan(end) for end in Share(0, 0).interval())


def test_the_interval_of_a_share():
    low, high = Share(8, 10).interval()  # Wilson, by hand: centre (.8 + .19207) / 1.38415, half width .2265
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert Share(10, 10).interval()[1] == pytest.approx(1)


def episodes(**changes) -> pd.DataFrame:
    """Two lies and a look-alike of one kind; episode 1 has two firms."""
    frame = pd.DataFrame(
        {
            "planted_id": [1, 1, 2, 3],
            "firm_id": [10, 11, 20, 30],
            "kind": "pos_ring",
            "look_alike": [False, False, False, True],
            "knows_rule": [True, True, False, False],
            "from_on": pd.to_datetime(["2022-01-10"] * 4),
            "to_on": pd.to_datetime(["2022-06-10"] * 4),
        }
    )
    return frame.assign(**changes)


def findings(*rows: tuple[int, str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "firm_id": [row[0] for row in rows],
            "kind": [row[1] for row in rows],
            "found_on": pd.to_datetime([row[2] for row in rows]),
        }
    )


def test_findings_by_hand():
    said = findings(
        (11, "pos_ring", "2022-02-09"),  # right: one firm of the episode is enough
        (20, "pos_ring", "2022-01-09"),  # before the lie began
        (20, "fake_sales", "2022-03-01"),  # another kind
        (30, "pos_ring", "2022-02-01"),  # honest look-alike
        (-1, "pos_ring", "2022-02-01"),  # no firm of the world
    )
    judged = scoring.judge_findings(said, episodes())
    assert list(judged["verdict"]) == ["right", "wrong", "wrong", "look_alike", "wrong"]
    found = scoring.judge_episodes(said, episodes()).set_index("planted_id")
    assert found["found"].to_dict() == {1: True, 2: False, 3: True}
    assert found.loc[1, "days"] == 30


def test_a_perfect_detective():
    said = findings((10, "pos_ring", "2022-01-10"), (20, "pos_ring", "2022-01-10"))
    judged = scoring.judge_findings(said, episodes())
    lies = scoring.judge_episodes(said, episodes()).query("not look_alike")
    assert (judged["verdict"] == "right").all()
    assert lies["found"].all()
    assert (lies["days"] == 0).all()


def test_said_twice_counts_once():
    said = findings((10, "pos_ring", "2022-02-01"), (10, "pos_ring", "2022-02-01"))
    assert len(scoring.judge_findings(said, episodes())) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_auc_equals_another_library(rows):
    score, bad = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(bad)) < 2:
        assert np.isnan(scoring.auc(score, bad))
        assert np.isnan(scoring.ks(score, bad))
        return
    assert scoring.auc(score, bad) == pytest.approx(roc_auc_score(bad, score))
    cuts = [abs((score[bad] <= c).mean() - (score[~bad] <= c).mean()) for c in set(score)]
    assert scoring.ks(score, bad) == pytest.approx(max(cuts))


def test_perfect_and_reversed_scores():
    bad = np.array([False, False, True, True])
    assert scoring.auc(np.arange(4), bad) == scoring.ks(np.arange(4), bad) == 1
    assert scoring.auc(-np.arange(4), bad) == 0
    assert scoring.auc(np.zeros(4), bad) == 0.5


def test_the_error_of_the_auc_matches_the_scatter_over_samples():
    rng = np.random.default_rng(5)
    values, errors = [], []
    for _ in range(200):
        bad = rng.random(400) < 0.15
        score = rng.standard_normal(400) + bad
        values.append(scoring.auc(score, bad))
        errors.append(scoring.auc_error(score, bad))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert np.isnan(scoring.auc_error(np.arange(3), np.array([True, False, False])))


def test_auc_under_true_pd_is_the_mean_over_outcomes():
    score, pd_ = np.array([3.0, 2.0, 2.0]), np.array([0.6, 0.3, 0.1])
    numerator = denominator = 0.0
    for i, j in itertools.permutations(range(3), 2):
        weight = pd_[i] * (1 - pd_[j])
        numerator += weight * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
        denominator += weight
    assert scoring.auc_under_pd(score, pd_) == pytest.approx(numerator / denominator)


def links(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["invoice_number", "record", "occurred_on", "amount"])
    return frame.assign(occurred_on=pd.to_datetime(frame["occurred_on"]))


def test_links_by_hand():
    true = links(
        ("1", "order", "2022-01-01", 5), ("1", "payment", "2022-02-01", 100), ("1", "payment", "2022-03-01", 100),
        ("2", "order", "2022-01-01", 7),
    )  # fmt: skip
    said = links(
        ("1", "order", "2022-01-02", 5),  # a day apart is near enough
        ("1", "payment", "2022-02-01", 100), ("1", "payment", "2022-03-04", 100),  # the second three days off
        ("2", "order", "2022-01-01", 8),  # wrong amount
        ("9", "delivery", "2022-01-01", 1),  # no such invoice
    )  # fmt: skip
    found = scoring.matched_links(said, true).set_index("record")
    assert found.loc["order"].to_dict() == {"right": 1, "said": 2, "true": 2}
    assert found.loc["payment"].to_dict() == {"right": 1, "said": 2, "true": 2}
    assert found.loc["delivery"].to_dict() == {"right": 0, "said": 1, "true": 0}


@given(
    st.lists(
        st.tuples(st.sampled_from("12"), st.sampled_from(["order", "payment"]), st.integers(1, 28), st.integers(1, 2)),
        min_size=1,
        max_size=15,
    )
)
@settings(deadline=None)
def test_all_links_are_right_when_the_truth_is_said(rows):
    true = links(*((n, r, f"{date(2022, 1, d)}", a) for n, r, d, a in rows))
    found = scoring.matched_links(true.sample(frac=1, random_state=1), true)
    assert (found["right"] == found["said"]).all()
    assert found["right"].sum() == len(rows)


def test_leads_by_hand():
    alerts = pd.DataFrame(
        {
            "firm_id": [1, 1, 1, 2, 3, 4],
            "source": ["orders", "orders", "court", "orders", "orders", "orders"],
            "alerted_on": pd.to_datetime(
                ["2022-01-01", "2022-03-01", "2022-07-01", "2020-01-01", "2022-01-01", "2022-09-02"]
            ),
        }
    )
    events = pd.DataFrame(
        {"firm_id": [1, 2, 4], "defaulted_on": pd.to_datetime(["2022-08-01", "2022-08-01", "2022-09-01"])}
    )
    lead = scoring.lead_times(alerts, events).set_index(["firm_id", "source"])["days"]
    assert lead.to_dict() == {(1, "orders"): 212, (1, "court"): 31}  # firm 2 was warned of too early, 4 too late
    true = scoring.true_alerts(alerts, events, pd.Timestamp("2023-12-31"))
    assert (true["orders"].hits, true["orders"].of) == (2, 4)  # firm 1 twice; 2 and 3 falsely; 4 is past its default
    assert (true["court"].hits, true["court"].of) == (1, 1)


def test_an_alert_whose_year_is_not_over_is_not_judged():
    alerts = pd.DataFrame({"firm_id": [1], "source": ["tax"], "alerted_on": pd.to_datetime(["2022-06-01"])})
    events = pd.DataFrame({"firm_id": [], "defaulted_on": pd.to_datetime([])}).astype({"firm_id": "int64"})
    assert scoring.true_alerts(alerts, events, pd.Timestamp("2023-05-31")) == {}
    assert scoring.true_alerts(alerts, events, pd.Timestamp("2023-06-01"))["tax"].of == 1
