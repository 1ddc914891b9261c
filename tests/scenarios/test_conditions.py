"""Conditions: what is written is what is judged, NaN is never wanted, and overlap is arithmetic."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.conditions import Interval, parse_condition


def interval(text, unit="ms", plan=100):
    return parse_condition(text).interval(unit=unit, plan_records=plan)


@pytest.mark.parametrize(
    ("text", "unit", "inside", "outside"),
    [
        ("< 100 ms", "ms", [0, 99.999], [100, 1e9]),
        ("<= 100 ms", "ms", [100], [100.001]),
        ("> 99 %", "%", [99.1, 100], [99]),
        (">= 99 %", "%", [99], [98.999]),
        ("== 0 records", "records", [0], [1, -1]),
        ("== plan records", "records", [100], [99, 101]),
        (">= plan records", "records", [100, 101], [99]),
        ("950..1050 records/s", "records/s", [950, 1000, 1050], [949, 1051]),
        ("< 5 s", "ms", [4999], [5000]),
        ("== 5 s", "ms", [5000], [4999]),
        ("< 0.1 s", "ms", [99], [100]),
        ("<= 1_000 ms", "s", [1], [1.001]),
        ("< 60 records/min", "/s", [0.5], [1]),
    ],
)
def test_a_condition_holds_for_what_it_says_and_nothing_else(text, unit, inside, outside):
    wanted = interval(text, unit)
    assert all(wanted.holds(value) for value in inside)
    assert not any(wanted.holds(value) for value in outside)


@pytest.mark.parametrize("text", ["< 1 ms", "<= 1 ms", "> 1 ms", ">= 1 ms", "== 1 ms", "1..2 ms"])
def test_nan_satisfies_nothing(text):
    assert not interval(text).holds(math.nan)


@pytest.mark.parametrize("text", ["> 1 ms", ">= 1 ms"])
def test_an_infinite_value_is_above_every_limit(text):
    assert not interval("< 1 ms").holds(math.inf)
    wanted = interval(text)
    assert wanted.holds(1e300)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("100 ms", "not a condition"),
        ("< ms", "not a condition"),
        ("", "not a condition"),
        ("!= 3 ms", "not a condition"),
        ("< -3 ms", "not a condition"),
        (100, "not a condition: 100"),
        (None, "not a condition"),
        ("< 100", "has no unit"),
        ("< 100 furlongs", "unknown unit 'furlongs'"),
        ("== plan ms", "plan counts records"),
        ("== plan", "has no unit"),
        ("2..1 ms", "empty range"),
        ("1..1 ms", "empty range"),
        ("< 1.2.3 ms", "not a number"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_reason(text, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_condition(text)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("< 100 ms", "> 500 ms", False),
        ("< 100 ms", ">= 100 ms", False),
        ("<= 100 ms", ">= 100 ms", True),
        ("<= 100 ms", "> 100 ms", False),
        ("== 100 ms", "== 100 ms", True),
        ("== 0 ms", "> 0 ms", False),
        ("< 100 ms", "< 50 ms", True),
        ("10..20 ms", "20..30 ms", True),
        ("10..20 ms", "> 20 ms", False),
        ("10..20 ms", "15..16 ms", True),
        ("< 1 s", "> 500 ms", True),
        ("< 1 s", ">= 1000 ms", False),
    ],
)
def test_overlap_is_arithmetic_across_units(one, other, overlap):
    assert interval(one).overlaps(interval(other)) is overlap
    assert interval(other).overlaps(interval(one)) is overlap


EDGES = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([-math.inf, math.inf]))
INTERVALS = st.builds(Interval, low=EDGES, high=EDGES, low_open=st.booleans(), high_open=st.booleans())


@given(INTERVALS, INTERVALS)
def test_intervals_that_share_a_number_overlap(one, other):
    numbers = [n / 4 for n in range(-16, 17)]
    if any(one.holds(number) and other.holds(number) for number in numbers):
        assert one.overlaps(other)
    if not one.overlaps(other):
        assert not any(one.holds(number) and other.holds(number) for number in numbers)


@given(st.floats(0, 1e12, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_limit_in_seconds_is_the_same_limit_in_milliseconds(seconds):
    limit = parse_condition(f"<= {seconds:.3f} s").interval(unit="ms", plan_records=1).high
    assert limit == pytest.approx(seconds * 1000, rel=1e-11)
