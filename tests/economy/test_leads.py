"""Lead times: windows, persistence and thresholds by hand; a planted fall is found at its day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sources.economy import leads


@given(arrays(np.float64, (40, 3), elements=st.integers(0, 100)), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_trailing_is_the_plain_sum(values, window):
    grid = np.array([0, 6, 20, 39])
    want = np.stack([values[max(0, t + 1 - window) : t + 1].sum(axis=0) for t in grid])
    assert leads.trailing(values, grid, window) == pytest.approx(want)


@pytest.mark.parametrize(
    ("alarms", "steps"),
    [([], 0), ([0, 0, 0], 0), ([1, 1, 1], 3), ([1, 1, 0, 1, 0, 0], 2), ([1, 0, 1, 1, 0, 1], 4), ([0, 0, 0, 1], 0)],
)
def test_a_lead_is_the_span_with_the_most_alarms_over_quiet_days(alarms, steps):
    assert leads.standing(np.array(alarms, bool)) == steps


def test_a_group_stands_out_only_for_two_months_on_end():
    quiet = np.zeros(60, bool)
    loud = quiet.copy()
    loud[5:25] = True
    assert leads.stands_out([loud] * 15 + [quiet] * 15, 0.1) == 25 * leads.STEP
    short = quiet.copy()
    short[5:9] = True
    assert leads.stands_out([short] * 30, 0.1) == 0


def test_peers_take_out_the_season():
    rng = np.random.default_rng(1)
    days, firms = 900, 40
    season = 1 + 0.8 * np.sin(np.arange(days) / 365 * 2 * np.pi)[:, None]
    values = season * rng.gamma(20, 5, (days, firms))
    values[700:, 0] *= 0.3
    grid = np.arange(6, days, 7)
    fall = leads.flow_indicator(values, grid, np.zeros(firms, int), np.zeros(firms, int))
    late = grid > 770
    assert np.nanmedian(fall[late][:, 0]) == pytest.approx(-np.log(0.3), abs=0.35)
    assert np.abs(np.nanmean(fall[grid > 300][:, 1:], axis=1)).max() < 0.1


def test_the_lead_of_a_fall_at_a_known_day():
    rng = np.random.default_rng(2)
    days, firms, bad = 800, 200, 60
    grid = np.arange(6, days, 7)
    failed = np.full(firms, -1)
    failed[:bad] = rng.integers(600, 790, bad)
    values = rng.normal(0, 1, (len(grid), firms))
    for firm in range(bad):
        values[(grid >= failed[firm] - 140), firm] += 8
    born, gone = np.zeros(firms, int), np.full(firms, days - 1)
    found = leads.lead_of(values, grid, born, gone, failed, "orders", np.ones(firms, bool))
    assert found.defaults == bad
    assert found.in_alarm_ratio == 1.0
    assert found.median_days == pytest.approx(140, abs=14)
    assert found.group_days == pytest.approx(140, abs=14)
    assert found.false_alarm_ratio == pytest.approx(leads.FALSE_ALARMS, abs=0.002)


def test_a_silent_source_has_no_defaults_to_see():
    grid = np.arange(6, 100, 7)
    values = np.full((len(grid), 5), np.nan)
    nothing = leads.lead_of(values, grid, np.zeros(5, int), np.full(5, 99), np.full(5, -1), "courts", np.ones(5, bool))
    assert nothing.defaults == 0
