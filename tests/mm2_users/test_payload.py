"""Payloads: valid JSON of exactly the wanted size, the same on every node, the runbook's five types in turn."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest

from mm2_users.envelope import LAYOUT, VERSION, encode
from mm2_users.payload import HEAD_BYTES, TYPES, render_pool


def values_of(size: int, count: int = 20) -> list[bytes]:
    pool = render_pool(size, count)
    fields = np.zeros(count, dtype=LAYOUT)
    fields["body"] = np.arange(count)
    fields["version"] = VERSION
    return encode(fields, pool)


SIZES = [100, 101, 127, 200, *range(330, 480, 7), 512, 1000, 1024, 10_240, 102_400]


@pytest.mark.parametrize("size", SIZES)
def test_every_value_is_json_of_exactly_the_size(size):
    for value in values_of(size):
        assert len(value) == size
        document = json.loads(value)
        assert len(document["_mm2gate"]) == 64


def test_around_the_size_where_the_document_begins_to_fit_all_sizes_hold():
    for size in range(100, 480, 3):
        values = values_of(size, 5)
        assert {len(value) for value in values} == {size}
        assert all(json.loads(value) for value in values)


def test_the_five_types_come_in_turn():
    documents = [json.loads(value) for value in values_of(1024, 10)]
    assert [document["type"] for document in documents] == list(TYPES) * 2
    assert all(document["_metadata"]["source"] == "mm2gate" for document in documents)


def test_every_node_renders_the_same_pool():
    assert render_pool(1024) == render_pool(1024)
    assert len(set(render_pool(1024).bodies)) == 500


def test_the_sums_are_those_of_the_bodies():
    pool = render_pool(300, 7)
    assert pool.crcs == tuple(zlib.crc32(body) for body in pool.bodies)
    assert {len(body) for body in pool.bodies} == {300 - HEAD_BYTES}


@pytest.mark.parametrize("size", [1024, 10_240])
def test_bodies_compress_about_as_events_do_not_like_one_repeated_letter(size):
    batch = b"".join(values_of(size, 16))
    assert 0.25 < len(zlib.compress(batch, 6)) / len(batch) < 0.8


def test_a_pool_of_large_bodies_is_smaller_and_still_has_every_type():
    pool = render_pool(10 * 1024**2)
    assert sum(map(len, pool.bodies)) <= 64 * 1024**2
    assert len(pool.bodies) >= len(TYPES)
