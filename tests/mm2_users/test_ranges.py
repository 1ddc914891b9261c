"""Range sets do what sets of numbers do, and stay as small as their gaps."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mm2_users.ranges import RangeSet

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])), max_size=12)


def numbers(ranges) -> set[int]:
    return {number for start, end in ranges for number in range(start, end)}


def assert_is(made: RangeSet, wanted: set[int]) -> None:
    assert numbers(made) == wanted
    assert made.count() == len(wanted)
    pairs = list(made)
    assert all(start < end for start, end in pairs)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(pairs)), "ranges touch"


@given(RANGES)
def test_adding_in_any_order_is_the_union(ranges):
    made = RangeSet(*ranges)
    assert_is(made, numbers(ranges))
    assert made.end == max(numbers(ranges), default=-1) + 1
    assert all((number in made) == (number in numbers(ranges)) for number in range(-1, 80))


@given(RANGES, RANGES)
def test_minus_and_common_are_those_of_sets(some, others):
    one, other = RangeSet(*some), RangeSet(*others)
    assert_is(one.minus(other), numbers(some) - numbers(others))
    assert_is(one.common(other), numbers(some) & numbers(others))
    assert (one == other) == (numbers(some) == numbers(others))


@given(RANGES, st.integers(-2, 80), st.integers(-2, 80))
def test_counting_and_cutting_are_those_of_sets(ranges, start, end):
    made, wanted = RangeSet(*ranges), numbers(ranges)
    assert made.count(start, end) == len({number for number in wanted if start <= number < end})
    assert made.count(start) == len({number for number in wanted if number >= start})
    assert_is(made.below(end), {number for number in wanted if number < end})


def test_between_an_end_and_a_start_behind_it_lies_nothing():
    assert RangeSet((0, 10)).count(5, 3) == 0


@given(st.permutations(range(40)))
def test_every_order_of_all_numbers_ends_as_one_range(order):
    made = RangeSet()
    for number in order:
        made.add(number, number + 1)
    assert list(made) == [(0, 40)]


def test_a_hundred_million_numbers_in_order_are_one_range():
    made = RangeSet()
    for start in range(0, 10**8, 10**5):
        made.add(start, start + 10**5)
    assert len(made) == 1
    assert made.count() == 10**8


def test_an_empty_set():
    assert_is(RangeSet(), set())
    assert RangeSet().end == 0
    assert 0 not in RangeSet()
    assert repr(RangeSet((1, 3))) == "RangeSet((1, 3))"
