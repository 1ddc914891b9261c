"""Envelopes: what was written is read; a byte changed anywhere is noticed; what is not ours is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.envelope import CANARY, LAYOUT, VERSION, Envelopes, decode, encode, run_number, seq_of
from mm2_users.payload import HEAD_BYTES, PREFIX, render_pool

RUN = run_number("20260301T100000Z-small")
POOL = render_pool(300)
TINY = render_pool(100)
I64 = st.integers(-(2**63), 2**63 - 1)


def fields_of(count: int, **values) -> np.ndarray:
    fields = np.zeros(count, dtype=LAYOUT)
    fields["run"], fields["version"] = RUN, VERSION
    fields["seq"] = np.arange(count)
    fields["body"] = np.arange(count) % len(POOL.bodies)
    for name, value in values.items():
        fields[name] = value
    return fields


def summary(decoded) -> tuple[list[int], list[bool], int, int]:
    return decoded.fields["seq"].tolist(), decoded.intact.tolist(), decoded.foreign, decoded.unreadable


ONE = st.tuples(
    st.integers(0, 2**16 - 1),
    st.integers(0, 255),
    st.sampled_from([0, CANARY]),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    I64,
    I64,
    I64,
    st.integers(0, len(POOL.bodies) - 1),
)


@given(st.lists(ONE, min_size=1, max_size=20))
def test_what_was_written_is_read(rows):
    written = np.array([(RUN, *row, VERSION, 0) for row in rows], dtype=LAYOUT)
    decoded = decode(encode(written, POOL), RUN, POOL)
    assert np.array_equal(decoded.fields, written)
    assert decoded.intact.all()
    assert (decoded.foreign, decoded.unreadable) == (0, 0)


U16 = st.integers(0, 2**16 - 1)


@given(
    U16,
    st.lists(
        st.tuples(
            st.fixed_dictionaries(
                {
                    "topic": U16,
                    "partition": U16,
                    "phase": st.integers(0, 255),
                    "flags": st.integers(0, 255),
                    "first_seq": st.integers(0, 2**62),
                    "sent_ns": I64,
                }
            ),
            st.lists(st.tuples(U16, I64), min_size=1, max_size=9),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_envelopes_laid_out_a_batch_at_a_time_are_those_written_field_by_field(sender, batches):
    envelopes = Envelopes(run=RUN, sender=sender, most=9)
    for scalars, records in batches:
        bodies, due_ns = (np.array(column, dtype=np.int64) for column in zip(*records, strict=True))
        laid_out = envelopes.lay_out(**scalars, bodies=bodies, due_ns=due_ns)
        wanted = np.zeros(len(records), dtype=LAYOUT)
        wanted["seq"] = scalars["first_seq"] + np.arange(len(records))
        for name, values in {
            "run": RUN,
            "version": VERSION,
            "sender": sender,
            "body": bodies,
            "due_ns": due_ns,
        }.items():
            wanted[name] = values
        for name in ("topic", "partition", "phase", "flags", "sent_ns"):
            wanted[name] = scalars[name]
        assert np.array_equal(laid_out[list(LAYOUT.names[:-1])], wanted[list(LAYOUT.names[:-1])])
        laid_out["crc"] = 1  # as enclosing does; it is written anew in each batch


@given(st.lists(ONE, min_size=1, max_size=20))
def test_a_value_of_our_own_tells_its_sequence_number_without_being_decoded(rows):
    written = np.array([(RUN, *row, VERSION, 0) for row in rows], dtype=LAYOUT)
    assert [seq_of(value) for value in encode(written, POOL)] == written["seq"].tolist()


def test_a_tiny_payload_carries_it_too():
    values = encode(fields_of(5), TINY)
    assert {len(value) for value in values} == {100}
    assert summary(decode(values, RUN, TINY)) == ([0, 1, 2, 3, 4], [True] * 5, 0, 0)


@pytest.mark.parametrize("pool", [TINY, POOL], ids=["100 B", "300 B"])
@pytest.mark.parametrize("last", [True, False], ids=["last of the batch", "amid others"])
def test_a_byte_changed_anywhere_is_noticed(pool, last):
    good = encode(fields_of(3), pool)
    victim = 2 if last else 1
    for position in range(pool.value_bytes):
        for character in (good[victim][position] ^ 1, ord("="), ord("A"), 0xFF):
            bad = bytearray(good[victim])
            if bad[position] == character:
                continue
            bad[position] = character
            values = [bytes(bad) if k == victim else value for k, value in enumerate(good)]
            decoded = decode(values, RUN, pool)
            if position < len(PREFIX):  # nobody can say that it was ever ours
                assert (decoded.foreign, decoded.unreadable, decoded.intact.all()) == (1, 0, True)
            elif position < HEAD_BYTES:
                assert (decoded.foreign, decoded.unreadable, decoded.intact.all()) == (0, 1, True)
            else:  # the envelope is whole, so it is known which record was corrupted
                assert summary(decoded) == ([0, 1, 2], [k != victim for k in range(3)], 0, 0)


@given(st.binary(min_size=1, max_size=64), st.integers(len(PREFIX), HEAD_BYTES - 1))
def test_garbage_over_the_envelope_never_passes_and_never_breaks_the_reader(garbage, at):
    (good,) = encode(fields_of(1), POOL)
    garbage = garbage[: HEAD_BYTES - at]
    bad = good[:at] + garbage + good[at + len(garbage) :]
    if bad == good:
        return
    assert summary(decode([bad], RUN, POOL)) == ([], [], 0, 1)


@pytest.mark.parametrize("padding", [b"=", b"==", b"==="])
@pytest.mark.parametrize("alone", [True, False])
def test_padding_at_the_end_of_an_envelope_is_good_base64_and_no_envelope(padding, alone):
    (good,) = encode(fields_of(1), POOL)
    bad = good[: HEAD_BYTES - len(padding)] + padding + good[HEAD_BYTES:]
    before = [] if alone else [good]
    assert summary(decode([*before, bad], RUN, POOL)) == ([0] * len(before), [True] * len(before), 0, 1)


@pytest.mark.parametrize("kept", [0, 5, len(PREFIX), len(PREFIX) + 1, HEAD_BYTES - 1, HEAD_BYTES, 299])
def test_a_value_cut_short_is_noticed(kept):
    (good,) = encode(fields_of(1), POOL)
    decoded = decode([good[:kept]], RUN, POOL)
    if kept < len(PREFIX):
        assert summary(decoded) == ([], [], 1, 0)
    elif kept < HEAD_BYTES:
        assert summary(decoded) == ([], [], 0, 1)
    else:
        assert summary(decoded) == ([0], [False], 0, 0)


def test_a_value_with_something_behind_it_is_not_what_was_sent():
    (good,) = encode(fields_of(1), POOL)
    assert summary(decode([good + b" "], RUN, POOL)) == ([0], [False], 0, 0)


def test_bodies_swapped_between_records_are_noticed():
    one, other = encode(fields_of(2), POOL)
    swapped = [one[:HEAD_BYTES] + other[HEAD_BYTES:], other[:HEAD_BYTES] + one[HEAD_BYTES:]]
    assert summary(decode(swapped, RUN, POOL)) == ([0, 1], [False, False], 0, 0)


def test_foreign_writers_and_empty_values_are_counted_and_left_alone():
    values = [None, b"", b"hello", b'{"a": 1}', *encode(fields_of(1), POOL)]
    assert summary(decode(values, RUN, POOL)) == ([0], [True], 4, 0)


def test_records_of_another_run_are_foreign_whatever_their_pool():
    other = encode(fields_of(2, run=run_number("another")), render_pool(150))
    assert summary(decode([*other, *encode(fields_of(1), POOL)], RUN, POOL)) == ([0], [True], 2, 0)


def test_a_body_number_beyond_our_pool_is_still_checked():
    big = render_pool(300, 600)
    values = encode(fields_of(1, run=run_number("another"), body=599), big)
    assert summary(decode(values, RUN, POOL)) == ([], [], 1, 0)
    damaged = values[0][:20] + b"!" + values[0][21:]
    assert summary(decode([damaged], RUN, POOL)) == ([], [], 0, 1)


def test_another_version_of_the_envelope_is_foreign():
    assert summary(decode(encode(fields_of(1, version=2), POOL), RUN, POOL)) == ([], [], 1, 0)


def test_nothing_read_is_nothing():
    assert summary(decode([], RUN, POOL)) == ([], [], 0, 0)


def test_runs_have_numbers_of_their_own():
    assert len({run_number(f"run {k}") for k in range(1000)}) == 1000
