"""What a record holds: asked for a batch or one by one, it is the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.content import Content
from mm2_users.envelope import LAYOUT, VERSION, enclose, encode
from mm2_users.payload import BodyPool, render_pool

POOL = render_pool(300, 10)


@given(st.integers(1, 30), st.integers(0, 2**20), st.integers(0, 10**9), st.integers(1, 70))
def test_a_batch_has_the_keys_and_the_bodies_of_its_records(keys, shift, first_seq, count):
    content = Content(tuple(b"key %d" % number for number in range(keys)), POOL, shift)
    seqs = np.arange(first_seq, first_seq + count)
    numbers = content.body_numbers_of(seqs).tolist()
    assert content.keys_from(first_seq, count) == content.keys_of(seqs)
    in_turn, bodies, crcs = content.bodies_from(first_seq, count)
    assert in_turn.tolist() == numbers
    assert list(bodies) == [POOL.bodies[number] for number in numbers]
    assert list(crcs) == [POOL.crcs[number] for number in numbers]


@pytest.mark.parametrize("in_headers", [False, True])
def test_a_batch_is_enclosed_as_its_records_are(in_headers):
    pool = BodyPool(value_bytes=300, bodies=POOL.bodies, crcs=POOL.crcs, in_headers=in_headers)
    content = Content((b"key",), pool, shift=7)
    fields = np.zeros(25, dtype=LAYOUT)
    fields["seq"], fields["version"] = np.arange(4, 29), VERSION
    fields["body"] = content.body_numbers_of(fields["seq"])
    same = fields.copy()
    _, bodies, crcs = content.bodies_from(4, 25)
    assert enclose(fields, bodies, crcs, in_headers=in_headers) == encode(same, pool)
    assert (fields == same).all()
    assert fields["crc"].all()
