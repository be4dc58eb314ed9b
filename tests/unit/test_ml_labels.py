"""Who is good, bad or kept apart, by hand on a calendar; who leaves the sample, counted."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_factories import CONFIG, portfolio

from lakehouse.errors import ModelError
from ml import dataset
from ml.dataset import build_sample, is_thin, observation_dates
from ml.labels import label_from_credit_records, label_from_loans, latest_known

TARGET = CONFIG.target
QUERY = pd.Timestamp("2024-01-01")
DATES = ["drawn_on", "closed_on", "dpd31_on", "dpd90_on", "guarantor_paid_on", "written_off_on"]


def loan(enterprise: str = "A", known_at: str = "2023-12-31", version: int = 1, **dates: str) -> dict:
    row = {
        "loan_id": f"L{enterprise}",
        "enterprise_id": enterprise,
        "known_at": pd.Timestamp(known_at),
        "version_no": version,
        **dict.fromkeys(DATES),
        "drawn_on": "2022-03-01",
    }
    return row | dates


def state(*loans: dict, as_of: str = "2022-07-01", query: pd.Timestamp = QUERY) -> str:
    spine = pd.DataFrame({"enterprise_id": ["A"], "as_of": [pd.Timestamp(as_of)]}, index=[7])
    found = label_from_loans(spine, pd.DataFrame(list(loans)), TARGET, query)
    assert found.index.tolist() == [7]
    return found.iloc[0]


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({}, "good"),
        ({"dpd31_on": "2022-08-01"}, "indeterminate"),
        ({"dpd31_on": "2022-08-01", "dpd90_on": "2022-10-01"}, "bad"),
        ({"guarantor_paid_on": "2023-06-30"}, "bad"),
        ({"written_off_on": "2022-07-01"}, "bad"),  # first day of the window counts
        ({"dpd90_on": "2023-07-01"}, "good"),  # first day after it does not
        ({"dpd90_on": "2022-06-30"}, "already_bad"),
        ({"closed_on": "2022-07-01"}, "no_exposure"),
        ({"closed_on": "2022-07-02"}, "good"),
        ({"drawn_on": "2023-06-30"}, "good"),
        ({"drawn_on": "2023-07-01"}, "no_exposure"),
    ],
)
def test_states_by_hand(dates, expected):
    assert state(loan(**dates)) == expected


def test_the_worst_loan_of_a_borrower_counts():
    assert state(loan(), loan(loan_id="L2", dpd90_on="2022-12-01")) == "bad"
    assert state(loan(dpd31_on="2022-08-01"), loan(loan_id="L2")) == "indeterminate"


def test_a_borrower_without_loan_has_no_outcome():
    assert state(loan("B")) == "no_outcome"


def test_a_label_matures_after_window_and_reporting_lag():
    # window to 2023-12-02 and 30 days of lag end on 2024-01-01
    assert state(loan(), as_of="2022-12-02") == "good"
    assert state(loan(), as_of="2022-12-03") == "immature"
    assert state(loan(dpd90_on="2023-02-01"), as_of="2022-12-03") == "immature"


def test_what_happens_after_the_query_date_is_not_used():
    early = pd.Timestamp("2022-09-01")
    assert state(loan(dpd90_on="2022-10-01"), as_of="2021-07-01", query=early) != "bad"
    found = state(loan(drawn_on="2021-01-01", dpd90_on="2022-10-01"), as_of="2021-07-01", query=early)
    assert found == "good"


def test_the_latest_version_known_at_the_query_date_counts():
    versions = pd.DataFrame(
        [
            loan(version=1, known_at="2023-01-01"),
            loan(version=2, known_at="2023-06-01", dpd90_on="2022-12-01"),
            loan(version=3, known_at="2024-01-02"),
        ]
    )
    assert latest_known(versions, "loan_id", QUERY)["version_no"].tolist() == [2]
    assert latest_known(versions, "loan_id", pd.Timestamp("2023-05-31"))["version_no"].tolist() == [1]


day = st.dates(pd.Timestamp("2021-01-01").date(), pd.Timestamp("2023-12-31").date()).map(str)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(DATES[1:]), day), day, day)
def test_nothing_from_after_the_query_date_changes_a_label(dates, as_of, query):
    """Promise one: cut everything later than the query date out, and the label is the same."""
    cut = {name: value for name, value in dates.items() if value <= query or name == "closed_on"}
    query = pd.Timestamp(query)
    assert state(loan(**dates), as_of=as_of, query=query) == state(loan(**cut), as_of=as_of, query=query)


def test_undated_outcomes():
    spine = pd.DataFrame({"enterprise_id": ["A", "B", "C"], "as_of": [QUERY] * 3})
    records = pd.DataFrame({"enterprise_id": ["A", "B"], "is_bad": [True, False]})
    assert label_from_credit_records(spine, records).tolist() == ["bad", "good", "no_outcome"]


def records_of(features: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "enterprise_id": features["enterprise_id"],
            "version_no": 1,
            "known_at": QUERY,
            "is_bad": features["is_bad"].astype(bool),
        }
    )


NO_LOANS = pd.DataFrame(columns=["loan_id", "enterprise_id", "version_no", "known_at", *DATES])


def sample_of(features, loans=NO_LOANS, records=None, query=QUERY):
    records = records_of(features) if records is None else records
    return build_sample(
        features.drop(columns="is_bad"),
        loans,
        records,
        TARGET,
        CONFIG.scorecard.minimum_history,
        CONFIG.features,
        query,
    )


def test_waterfall_counts_every_row_once():
    features = portfolio(200)
    features.loc[:9, "history_months"] = 5
    features.loc[10:14, "sales_active_24m_months"] = 2
    sample = sample_of(features, records=records_of(features[:150]))
    by_step = {row["step"]: row for row in sample.waterfall}
    assert by_step["no loan or credit record"]["leaving"] == 50
    assert by_step["too little history (thin file)"]["leaving"] == 15
    assert len(sample.rows) == 135 == by_step["goods"]["remaining"] + by_step["bads"]["remaining"]
    start = sample.waterfall[0]["remaining"]
    assert start - sum(row["leaving"] for row in sample.waterfall) == 135
    assert sample.label_source == "credit_record"


def test_an_undated_outcome_is_used_at_the_latest_date_alone():
    features = portfolio(50)
    both = pd.concat([features, features.assign(as_of=pd.Timestamp("2023-01-01"))])
    assert sample_of(both).rows["as_of"].unique().tolist() == [pd.Timestamp("2023-01-01")]


def test_features_after_the_query_date_are_not_seen():
    features = portfolio(60)
    later = pd.concat([features, features.assign(as_of=QUERY + pd.Timedelta(days=1), sales_cv_12m_ratio=9.0)])
    pd.testing.assert_frame_equal(sample_of(later).rows, sample_of(features).rows)


def test_dated_labels_use_several_dates_and_keep_indeterminates_apart():
    features = portfolio(30)
    dates = pd.to_datetime(["2022-01-01", "2022-02-01", "2022-04-01", "2022-07-01", "2022-10-01", "2023-10-01"])
    stacked = pd.concat([features.assign(as_of=day) for day in dates])
    loans = [loan(f"E{i:05d}", drawn_on="2021-06-01") for i in range(30)]
    loans[0]["dpd90_on"], loans[1]["dpd31_on"] = "2022-08-01", "2022-08-01"
    sample = sample_of(stacked, pd.DataFrame(loans))
    assert sample.label_source == "loan"
    # three months apart, anchored at the latest matured date; 2023-10 is counted as immature
    assert [str(d.date()) for d in sample.rows["as_of"].unique()] == [
        "2022-01-01",
        "2022-04-01",
        "2022-07-01",
        "2022-10-01",
    ]
    by_step = {row["step"]: row["leaving"] for row in sample.waterfall}
    assert by_step["performance window or reporting lag not over"] >= 29
    first = sample.rows[sample.rows["enterprise_id"] == "E00000"].set_index("as_of")["is_bad"]
    assert first.tolist() == [1, 1, 1]  # at 2022-10 it was bad already
    assert set(sample.indeterminate["enterprise_id"]) == {"E00001"}


def test_a_label_that_is_not_mature_stops_the_sample(monkeypatch):
    features = portfolio(30)
    stacked = pd.concat([features.assign(as_of=day) for day in pd.to_datetime(["2022-01-01", "2023-10-01"])])
    loans = [loan(f"E{i:05d}", drawn_on="2021-06-01") for i in range(30)]
    loans[0]["dpd90_on"] = "2022-08-01"
    assert set(sample_of(stacked, pd.DataFrame(loans)).rows["as_of"].dt.year) == {2022}

    def peeking(spine, loans, target, query_date):
        return label_from_loans(spine, loans, target, query_date + pd.DateOffset(years=2))

    monkeypatch.setattr(dataset, "label_from_loans", peeking)
    with pytest.raises(ModelError, match="labels are not mature") as caught:
        sample_of(stacked, pd.DataFrame(loans))
    assert "2023-10-01" in str(caught.value)


def test_observation_dates_keep_their_distance():
    days = pd.Series(pd.to_datetime(["2022-01-01", "2022-02-01", "2022-03-01", "2022-04-01", "2022-06-15"]))
    assert [str(d.date()) for d in observation_dates(days, 3)] == ["2022-03-01", "2022-06-15"]


def test_a_firm_that_stopped_selling_is_not_thin():
    features = portfolio(3)
    features["history_months"], features["sales_active_24m_months"] = [6, 5, 40], [3, 24, None]
    assert is_thin(features, CONFIG.scorecard.minimum_history, CONFIG.features).tolist() == [False, True, True]


def test_a_sample_of_one_kind_is_an_error_that_shows_the_waterfall():
    features = portfolio(40)
    records = records_of(features).assign(is_bad=False)
    with pytest.raises(ModelError, match="both goods and bads") as error:
        sample_of(features, records=records)
    assert "goods: 40" in error.value.where
    with pytest.raises(ModelError, match="no outcome"):
        sample_of(features, records=records[:0])
