"""Stretches of time and what points vouch for of them, worked out a second time by counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.spans import Spans, vouched

INTERVAL_S = 10.0
#: In quarters of a second, so that both ways of counting are exact.
QUARTERS = st.integers(0, 400)
EDGES = st.lists(st.tuples(QUARTERS, QUARTERS), max_size=6)
TIMES = st.lists(st.integers(-80, 480), max_size=12, unique=True)


def shared(times, needed):
    return vouched(np.array(sorted(times), dtype=float), needed, interval_s=INTERVAL_S).share


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param(range(0, 101, 10), 1.0, id="every interval"),
        pytest.param([-3, 8, 17, 29, 38, 47, 59, 66, 78, 87, 98], 1.0, id="jitter"),
        pytest.param([0, 10, 20, 30, 40, 60, 70, 80, 90, 100], 0.925, id="one scrape missed"),
        pytest.param(range(0, 51, 10), 0.5625, id="nothing in the second half"),
        pytest.param(range(50, 101, 10), 0.5625, id="nothing in the first half"),
        pytest.param([], 0.0, id="nothing"),
        pytest.param([-500, 500], 0.0, id="nothing near"),
    ],
)
def test_coverage_is_the_share_of_time_that_points_vouch_for(times, expected):
    assert shared(times, Spans.whole(0, 100)) == pytest.approx(expected)


@given(edges=EDGES, start=QUARTERS, end=QUARTERS)
def test_a_union_has_what_any_of_its_stretches_has(edges, start, end):
    found = union(edges, start, end)
    cells = needed_cells(edges, start, end)
    assert found.length_s == len(cells) / 4
    assert bool((found.starts_s[1:] > found.ends_s[:-1]).all())
    at = np.arange(0, 401) / 4
    assert found.before_s(at).tolist() == [sum(cell < 4 * one for cell in cells) / 4 for one in at]


@given(edges=EDGES, cut=st.tuples(QUARTERS, QUARTERS))
def test_what_is_left_without_a_stretch(edges, cut):
    low, high = sorted(cut)
    left = union(edges, 0, 400).without(low / 4, high / 4)
    assert left.length_s == len([cell for cell in needed_cells(edges, 0, 400) if not low <= cell < high]) / 4


@given(edges=EDGES, times=TIMES)
def test_share_and_longest_hole_are_what_counting_says(edges, times):
    """A point vouches for everything up to 6.25 s beside it."""
    needed, cells = union(edges, 0, 400), needed_cells(edges, 0, 400)
    found = vouched(np.array(sorted(times)) / 4, needed, interval_s=INTERVAL_S)
    ordered, holes, run = sorted(times), [], 0
    for cell in range(401):
        vouches = any(one - 25 <= cell < one + 25 for one in ordered)
        if cell in cells and not vouches:
            run += 1
        elif vouches:
            holes.append(run)
            run = 0
    holes.append(run)
    lost = sum(holes)
    assert found.share == pytest.approx(1.0 - lost / len(cells) if cells else 1.0)
    assert found.hole_s == pytest.approx(max(holes) / 4)
    if cells:
        within = [one for one in ordered if min(cells) <= one <= max(cells) + 1]
        first, last = (within[0], within[-1]) if within else (10_000, -10_000)
        assert found.late_s == sum(cell < first for cell in cells) / 4
        assert found.stale_s == sum(cell >= last for cell in cells) / 4


@given(times=TIMES, which=st.integers(0, 11))
def test_a_point_less_never_vouches_for_more(times, which):
    fewer = [one for number, one in enumerate(sorted(times)) if number != which]
    whole = Spans.whole(0.0, 100.0)
    more, less = (vouched(np.array(sorted(some)) / 4, whole, interval_s=INTERVAL_S) for some in (times, fewer))
    assert less.share <= more.share + 1e-9
    assert less.late_s >= more.late_s
    assert less.stale_s >= more.stale_s
    assert less.hole_s >= more.hole_s


def union(edges, start, end):
    starts, ends = (np.array([edge[place] for edge in edges], dtype=float) / 4 for place in (0, 1))
    return Spans.union(starts, ends, start_s=start / 4, end_s=end / 4)


def needed_cells(edges, start, end):
    """The quarters of a second that lie in any of the stretches, and in the window."""
    inside = {cell for low, high in edges for cell in range(low, high)}
    return {cell for cell in inside if start <= cell < end}
