"""Turns: a stream sends until its batch is full or linger is over, then the next one does; all get the same."""

from __future__ import annotations

from collections import Counter

import pytest

from mm2_users.turns import Turns

MS = 1_000_000


def turns(lasts_ms: float = 5, most_records: int = 100) -> Turns:
    return Turns(["a", "b", "c"], lasts_ns=int(lasts_ms * MS), most_records=most_records)  # type: ignore[arg-type]


def test_a_turn_lasts_as_long_as_the_producer_lingers():
    made = turns()
    taken = [made.take(1, at_ms * MS) for at_ms in (0, 2, 4, 6, 8, 10, 12, 16)]
    assert taken == ["a", "a", "a", "b", "b", "b", "c", "c"]


def test_a_full_batch_ends_the_turn():
    made = turns(most_records=80)
    assert [made.take(40, 0) for _ in range(6)] == ["a", "a", "b", "b", "c", "c"]


def test_records_that_are_far_apart_go_to_one_stream_after_the_other():
    made = turns()
    assert [made.take(1, number * 100 * MS) for number in range(4)] == ["a", "b", "c", "a"]


@pytest.mark.parametrize("per_step", [1, 7, 40, 500])
def test_all_streams_get_the_same(per_step):
    made, got = turns(), Counter()
    for step in range(3000):
        got[made.take(per_step, step * 2 * MS)] += per_step
    assert max(got.values()) - min(got.values()) <= 3 * per_step


def test_without_lingering_every_step_is_a_turn():
    made = turns(lasts_ms=0)
    assert [made.take(1, 0) for _ in range(4)] == ["a", "b", "c", "a"]
