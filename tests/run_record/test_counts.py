"""Counts: two equations, a sum, and the JSON that scripts rely on."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_record.counts import Counts, total

CONTRACT = [
    "sent",
    "acked",
    "failed",
    "unknown",
    "arrived",
    "lost",
    "late",
    "duplicated",
    "reordered",
    "corrupted",
    "phantom",
]  # docs/run-record.md


@st.composite
def balanced(draw):
    n = st.integers(0, 10**9)
    arrived, late, lost, failed, unknown = (draw(n) for _ in range(5))
    acked = arrived + late + lost
    rest = {name: draw(n) for name in ("duplicated", "reordered", "corrupted", "phantom", "unknown_arrived", "foreign")}
    return Counts(
        sent=acked + failed + unknown,
        acked=acked,
        failed=failed,
        unknown=unknown,
        arrived=arrived,
        late=late,
        lost=lost,
        **rest,
    )


@given(st.lists(balanced(), max_size=6))
def test_the_sum_of_balanced_counts_is_balanced(parts):
    whole = total(parts)
    assert whole.balanced
    for field in fields(Counts):
        assert getattr(whole, field.name) == sum(getattr(part, field.name) for part in parts)


@pytest.mark.parametrize("name", ["sent", "acked", "failed", "unknown", "arrived", "late", "lost"])
@given(counts=balanced())
def test_one_record_too_many_anywhere_breaks_the_balance(name, counts):
    assert not (counts + Counts(**{name: 1})).balanced


@pytest.mark.parametrize("name", ["duplicated", "reordered", "corrupted", "phantom", "unknown_arrived", "foreign"])
def test_what_is_counted_on_arrivals_is_no_part_of_the_balance(name):
    assert Counts(**{name: 3}).balanced


def test_the_backlog_is_what_was_acknowledged_and_has_not_arrived():
    assert Counts(acked=10, arrived=7, lost=1, late=2).backlog == 3


def test_the_json_is_the_contract_and_comes_back():
    counts = Counts(sent=3, acked=2, failed=1, arrived=2)
    assert list(counts.to_json())[:11] == CONTRACT
    assert Counts(**counts.to_json()) == counts
