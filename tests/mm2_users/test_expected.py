"""What is expected next: whatever differs from it, in any byte or any place, is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from mm2_users.expected import Expected, SentBatch


def batch(first_seq: int, count: int) -> SentBatch:
    seqs = range(first_seq, first_seq + count)
    return SentBatch(
        first_seq=first_seq,
        phase=0,
        sent_ns=1,
        due_ns=np.arange(first_seq, first_seq + count, dtype=np.int64),
        values=[b"value %d" % seq for seq in seqs],
        keys=[b"key %d" % seq for seq in seqs],
    )


@pytest.fixture
def expected() -> Expected:
    made = Expected(100)
    for first_seq in (0, 5):
        made.sent(batch(first_seq, 5))
    return made


def read(start: int, end: int) -> tuple[list[bytes], list[bytes]]:
    return [b"value %d" % seq for seq in range(start, end)], [b"key %d" % seq for seq in range(start, end)]


def found(made: Expected, values, keys, next_seq) -> tuple[int, int] | None:
    """Sequence numbers of the stretch that matched."""
    match = made.match(values, keys, next_seq)
    return None if match is None else (match[0].first_seq + match[1], match[0].first_seq + match[2])


def test_a_stretch_ends_with_what_was_read_or_with_the_batch(expected):
    assert found(expected, *read(0, 3), 0) == (0, 3)
    assert found(expected, *read(3, 8), 3) == (3, 5)
    assert found(expected, *read(5, 8), 5) == (5, 8)


def test_what_was_matched_before_in_the_same_read_is_passed_over(expected):
    values, keys = read(0, 8)
    matched = [expected.match(values, keys, place, place) for place in (0, 5)]
    assert [(batch.first_seq, start, end) for batch, start, end in matched] == [(0, 0, 5), (5, 0, 3)]
    assert expected.match(values, keys, 5, 4) is None


@pytest.mark.parametrize("size", [5, 3])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_other_value_or_key_is_seen_in_a_batch_read_whole_or_in_part(expected, which, place, size):
    read_now = read(0, size)
    assert found(expected, *read_now, 0) == (0, size)
    read_now[which][place] += b"x"
    assert found(expected, *read_now, 0) is None


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_other_value_or_key_is_not_what_was_expected(expected, which, place):
    read_now = read(0, 3)
    read_now[which][place] += b"x"
    assert found(expected, *read_now, 0) is None
    read_now[which][place] = None
    assert found(expected, *read_now, 0) is None


def test_swapped_repeated_or_skipped_records_are_not_what_was_expected(expected):
    values, keys = read(0, 3)
    assert found(expected, values[::-1], keys[::-1], 0) is None
    assert found(expected, *read(1, 3), 0) is None
    assert found(expected, *read(0, 3), 1) is None


def test_what_lies_behind_the_last_arrival_is_forgotten_and_makes_room():
    made = Expected(10)
    for first_seq in (0, 5, 10):
        made.sent(batch(first_seq, 5))
    assert found(made, *read(5, 10), 5) == (5, 10)
    assert found(made, *read(10, 15), 10) is None  # there was no room for it
    made.sent(batch(15, 5))
    assert found(made, *read(15, 20), 12) is None  # 12 to 14 come first, and are not known
    assert found(made, *read(15, 20), 15) == (15, 20)
