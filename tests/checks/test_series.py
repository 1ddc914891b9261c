"""The arithmetic on Prometheus's points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checks.series import (
    Series,
    UnreadableAnswer,
    growth_of,
    largest_sum,
    merged,
    parse_matrix,
)


def series(pairs, **labels):
    times, values = zip(*pairs, strict=True) if pairs else ((), ())
    return Series(labels=labels, times_s=np.array(times, dtype=float), values=np.array(values, dtype=float))


def growth(pairs, start, end, patience=15):
    return growth_of(series(pairs), start, end, patience_s=patience)


def test_growth_is_the_difference_of_the_scrapes_around_the_window_not_extrapolated():
    found = growth([(0, 12), (10, 12), (20, 80), (30, 112), (40, 112), (50, 999)], 12, 35)
    assert (found.growth, found.base, found.end, found.points) == (100, 12, 112, 4)
    assert (found.resets, found.born, found.ended) == (0, False, False)


def test_counter_that_restarts_counts_from_zero_again_and_is_a_lower_bound():
    found = growth([(0, 12), (10, 50), (20, 5), (30, 60)], 0, 30)
    assert (found.growth, found.resets) == (38 + 5 + 55, 1)


def test_counter_that_appears_in_the_window_counts_from_zero():
    found = growth([(20, 5), (30, 60)], 0, 30)
    assert (found.growth, found.born, found.base) == (60, True, 0)


def test_counter_that_vanishes_before_the_end_is_a_lower_bound():
    found = growth([(0, 12), (10, 50)], 0, 30)
    assert (found.growth, found.ended) == (38, True)


def test_counter_gone_before_the_window_is_no_counter_of_it():
    assert growth([(0, 12), (10, 50)], 60, 90) is None


def test_nan_scrapes_are_no_scrapes():
    assert growth([(0, math.nan), (10, math.nan)], 0, 10) is None
    assert growth([(0, 12), (10, math.nan), (20, 20)], 0, 20).growth == 8


def test_known_points_are_numbers():
    found = series([(0, 1), (5, math.nan), (10, 2)], a="x").known()
    assert (found.times_s.tolist(), found.values.tolist(), found.labels) == ([0, 10], [1, 2], {"a": "x"})


def test_sum_takes_each_series_last_point_while_it_is_fresh():
    one, two = series([(0, 5), (10, 1)]), series([(1, 7), (11, 0)])
    assert largest_sum([one, two], stale_s=15) == 12
    assert largest_sum([series([(0, 5)]), series([(60, 7)])], stale_s=15) == 7
    assert largest_sum([series([(0, math.nan)])], stale_s=15) is None
    assert largest_sum([series([(0, math.nan), (5, 2)]), series([])], stale_s=15) == 2
    assert largest_sum([], stale_s=15) is None


def test_pieces_of_a_series_join_and_their_common_point_counts_once():
    parts = [series([(0, 1), (10, 2)], a="x"), series([(10, 2), (20, 3)], a="x"), series([(0, 9)], a="y")]
    first, second = merged(parts)
    assert (first.values.tolist(), second.values.tolist()) == ([1, 2, 3], [9])


def test_points_are_put_in_order_and_said_twice_count_once():
    (one,) = merged([series([(20, 3), (0, 1), (10, 2), (10, 2), (0, 1)], a="x")])
    assert (one.times_s.tolist(), one.values.tolist()) == ([0, 10, 20], [1, 2, 3])
    (nan,) = merged([series([(0, math.nan), (0, math.nan)])])
    assert len(nan.times_s) == 1


@pytest.mark.parametrize("other", [3.0, math.nan])
def test_two_values_at_one_instant_are_none(other):
    with pytest.raises(UnreadableAnswer, match="two values"):
        merged([series([(0, 1), (10, 2)], a="x"), series([(10, other), (20, 3)], a="x")])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"data": {"resultType": "vector", "result": []}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "histograms": []}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "x"]]}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": [], "values": [[1, "1"]]}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [["nan", "1"]]}]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1e999, "1"]]}]}},
        [],
        None,
    ],
)
def test_what_is_not_a_matrix_of_floats_is_refused(content):
    with pytest.raises(UnreadableAnswer):
        parse_matrix(content)


def test_infinities_and_nan_are_read_as_such():
    pairs = [[1, "NaN"], [2, "+Inf"], [3, "-Inf"]]
    (one,) = parse_matrix({"data": {"resultType": "matrix", "result": [{"metric": {"a": '"b"'}, "values": pairs}]}})
    assert math.isnan(one.values[0])
    assert one.values[1:].tolist() == [math.inf, -math.inf]
    assert one.label("a") == "b"
