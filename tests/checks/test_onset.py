"""Where trouble begins in a figure over time: at its limit, or where it left its calm; never where a load began."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from checks.onset import DIP_POINTS, growth, troubled

SECONDS = 60
#: What a healthy live load shows each second: always something on its way.
NORMAL = st.lists(st.integers(0, 40), min_size=SECONDS, max_size=SECONDS)
ONSETS = st.integers(5, SECONDS - 5)


@given(NORMAL, ONSETS, st.integers(1_000, 1_000_000))
def test_a_step_is_dated_where_it_stands_whatever_was_normal_before(normal, onset, height):
    values = np.array([float(v) + (height if second >= onset else 0) for second, v in enumerate(normal)])
    found = troubled(values)
    assert abs(found.first - onset) <= 2
    assert found.last == SECONDS - 1


@given(st.integers(0, 40), ONSETS, st.integers(200, 20_000))
def test_a_backlog_that_grows_is_dated_where_it_left_the_ground(normal, onset, per_s):
    values = np.array([float(normal + per_s * max(second - onset, 0)) for second in range(SECONDS)])
    assert abs(troubled(values).first - onset) <= 2


@given(NORMAL, ONSETS, st.integers(500, 20_000))
def test_so_is_one_above_a_live_load(normal, onset, per_s):
    values = np.array([float(v + per_s * max(second - onset, 0)) for second, v in enumerate(normal)])
    assert abs(troubled(values).first - onset) <= 2


@given(st.integers(1, 1_000_000))
def test_what_was_so_from_the_first_second_is_dated_from_there(level):
    assert troubled(np.full(SECONDS, float(level))) == (0, SECONDS - 1)


@given(ONSETS, st.integers(1, 4000), st.integers(5001, 10**6))
def test_where_a_limit_is_crossed_trouble_begins_at_the_limit(onset, below, above):
    excess = np.array([max((above if second >= onset else below) - 5000.0, 0.0) for second in range(SECONDS)])
    assert troubled(excess).first == onset


@given(ONSETS.filter(lambda onset: onset > 10))
def test_a_blip_as_the_load_begins_is_not_where_the_trouble_began(onset):
    excess = np.array([900.0 if second == 1 or second >= onset else 0.0 for second in range(SECONDS)])
    assert troubled(excess).first == onset


@given(st.integers(1, DIP_POINTS))
def test_a_dip_does_not_end_it(dip):
    excess = np.full(SECONDS, 100.0)
    excess[30 : 30 + dip] = 0.0
    assert troubled(excess) == (0, SECONDS - 1)


def test_a_figure_that_is_judged_by_its_end_is_dated_by_its_last_trouble():
    excess = np.zeros(SECONDS)
    excess[5:25], excess[50:] = 10_000.0, 10.0
    assert troubled(excess) == (5, 24)
    assert troubled(excess, by_its_end=True) == (50, SECONDS - 1)


def test_nothing_beyond_the_limit_is_no_trouble():
    assert troubled(np.zeros(SECONDS)) is None
    assert troubled(np.array([])) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=SECONDS))
def test_a_running_total_is_troubled_from_its_first_growth_to_its_last(steps):
    grew = [place for place, step in enumerate(steps) if step]
    assert growth(np.cumsum(steps).astype(float)) == ((grew[0], grew[-1]) if grew else None)
