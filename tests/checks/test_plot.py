"""Figures: every extreme is kept whatever the length, holes stay holes, and labels do not cover each other."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from checks.report.plot import ABOVE, BUCKETS, HEIGHT, Band, Curve, Limit, Mark, decimated, draw, scale_of
from checks.tracks import holed


def curve(values, times_s=None, style=1):
    values = np.array(values, dtype=float)
    return Curve(
        name="x",
        style=style,
        times_s=np.arange(len(values), dtype=float) if times_s is None else times_s,
        values=values,
    )


def drawn(*curves, start_s=0.0, end_s=None, may_be_logarithmic=False, least_top=10.0, **more):
    return draw(
        curves,
        frame=(start_s, end_s or max((float(one.times_s[-1]) for one in curves), default=10.0)),
        may_be_logarithmic=may_be_logarithmic,
        least_top=least_top,
        number=lambda value: f"{value:g}",
        elapsed=lambda seconds: f"{seconds:g} s",
        **more,
    )


def limit(kind, value, start_s=0.0, end_s=10.0):
    return Limit(kind=kind, label=f"{kind} {value:g}", value=value, start_s=start_s, end_s=end_s)


class TestDecimation:
    @given(arrays.arrays(np.float64, st.integers(801, 3000), elements=st.floats(0, 1e6)))
    def test_least_and_greatest_are_kept_in_their_order_and_little_else(self, values):
        times_s = np.arange(len(values), dtype=float)
        kept_s, kept = decimated(times_s, values)
        assert len(kept) <= 2 * BUCKETS
        assert kept.max() == values.max()
        assert kept.min() == values.min()
        assert (np.diff(kept_s) > 0).all()
        assert set(zip(kept_s.tolist(), kept.tolist(), strict=True)) <= set(
            zip(times_s.tolist(), values.tolist(), strict=True)
        )

    def test_a_peak_of_one_second_in_a_day_is_drawn(self):
        values = np.ones(86_400)
        values[54_321] = 9.0
        (_, path) = drawn(curve(values)).paths[0]
        assert min(float(y) for y in re.findall(r" (\d+\.\d)", path)) == pytest.approx(HEIGHT * 0.1)
        assert len(path) < 12_000

    def test_a_hole_stays_a_hole(self):
        values = np.ones(10_000)
        values[4_000:6_000] = np.nan
        (_, path) = drawn(curve(values)).paths[0]
        assert path.count("M") == 2

    def test_a_lone_point_between_holes_is_a_dot(self):
        (_, path) = drawn(curve([np.nan, 5.0, np.nan])).paths[0]
        assert path == "M5000 95.0h1"

    def test_where_nothing_was_written_for_long_no_line_is_drawn(self):
        times_s, values = holed(np.array([0.0, 1.0, 9.0, 10.0]), np.ones(4), longest_s=3.0)
        assert times_s.tolist() == [0.0, 1.0, 5.0, 9.0, 10.0]
        assert np.isnan(values).tolist() == [False, False, True, False, False]


class TestScale:
    def test_it_shows_every_value_and_the_limits_near_it(self):
        scale, off = scale_of(
            [curve([3, 40])], [limit("go", 70), limit("nogo", 90)], may_be_logarithmic=False, least_top=1
        )
        assert scale.high == 100
        assert off == ()

    def test_limits_far_above_are_left_out_and_named_at_the_top(self):
        limits = [limit("go", 5000), limit("nogo", 10_000)]
        shown = drawn(curve([3, 40]), limits=limits, least_top=50)
        assert shown.off_scale == tuple(limits)
        labels = [text.text for text in shown.texts if "limit" in text.kind]
        assert labels == ["↑ go 5000", "↑ nogo 10000"]

    def test_noise_is_no_mountain(self):
        scale, _ = scale_of([curve([0, 2])], [], may_be_logarithmic=False, least_top=500)
        assert scale.high == 500

    def test_latencies_far_apart_are_drawn_by_decades(self):
        shown = drawn(curve([11, 9000]), may_be_logarithmic=True)
        assert shown.logarithmic
        assert [text.text for text in shown.axis] == ["10", "100", "1000", "10000"]

    def test_a_value_next_to_nothing_does_not_stretch_the_scale(self):
        shown = drawn(curve([2e-308, 5, 900]), may_be_logarithmic=True)
        assert [text.text for text in shown.axis][::6] == ["0.001", "1000"]

    def test_nothing_but_zeros_has_a_scale(self):
        assert not drawn(curve([0, 0]), may_be_logarithmic=True).logarithmic

    @given(st.lists(st.floats(0, 1e12), min_size=2, max_size=20), st.booleans())
    def test_no_value_leaves_the_drawing(self, values, logarithmic):
        for _, path in drawn(curve(values), may_be_logarithmic=logarithmic).paths:
            assert all(0 <= float(y) <= HEIGHT for y in re.findall(r" (\d+\.\d)", path))


class TestLimits:
    def test_a_limit_on_another_is_drawn_once(self):
        limits = [
            limit("go", 70),
            limit("go", 70),
            limit("go", 70, 2.0, 5.0),
            limit("nogo", 70),
            limit("go", 90, 2.0, 5.0),
        ]
        lines = [
            stroke for stroke in drawn(curve([50, 60]), limits=limits, end_s=10.0).strokes if "limit" in stroke.kind
        ]
        assert [(line.kind, line.x1, line.x2) for line in lines] == [
            ("limit go", "0.00%", "100.00%"),
            ("limit nogo", "0.00%", "100.00%"),
            ("limit go", "20.00%", "50.00%"),
        ]


class TestLabels:
    def test_phases_too_short_for_a_number_have_none(self):
        bands = [Band(number=n + 1, start_s=n * 0.1, end_s=n * 0.1 + 0.1, load=True) for n in range(100)]
        numbers = [text for text in drawn(curve([1] * 11), bands=bands).texts if text.kind == "number"]
        places = [float(text.x.rstrip("%")) for text in numbers]
        assert numbers[0].text == "1"
        assert min(np.diff(places)) >= 3.2

    def test_limits_of_one_height_have_one_readable_label_each(self):
        shown = drawn(curve([50, 60]), limits=[limit("go", 70), limit("nogo", 71), limit("go", 72), limit("go", 73)])
        heights = sorted(float(text.y) for text in shown.texts if "limit" in text.kind)
        assert all(after - before >= 13 for before, after in pairwise(heights))

    def test_time_is_labelled_from_the_load_on_in_round_steps(self):
        ticks = [text for text in drawn(curve([1] * 200), start_s=-72.0, end_s=120.0).texts if text.kind == "tick"]
        assert [text.text for text in ticks] == ["-60 s", "0 s", "60 s", "120 s"]
        assert ticks[-1].anchor == "end"

    def test_an_event_has_its_letter_and_its_line(self):
        shown = drawn(curve([1] * 11), marks=[Mark(letter="a", at_s=5.0)])
        (letter,) = [text for text in shown.texts if text.kind == "mark"]
        (line,) = [stroke for stroke in shown.strokes if stroke.kind == "mark"]
        assert (letter.text, letter.x, line.x1, line.y1) == ("▼a", "50.00%", "50.00%", f"{ABOVE:.1f}")
