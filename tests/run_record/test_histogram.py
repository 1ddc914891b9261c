"""Histograms: merging is recording all at once; percentiles are those of the sorted values, to three digits; nothing
is dropped or clamped, and what is missing counts as infinite."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import example, given
from hypothesis import strategies as st

from run_record.histogram import HIGHEST_US, LatencyHistogram

MS = 1_000_000
TOP_NS = HIGHEST_US * 1000
DURATIONS = st.lists(
    st.one_of(
        st.integers(0, 50 * MS),
        st.integers(0, TOP_NS),
        st.integers(-5 * MS, -1),
        st.integers(TOP_NS + 1000, 3 * TOP_NS),
        st.sampled_from([0, 1, 999, 1000, 2_047_000, 2_048_000, TOP_NS, TOP_NS + 999]),
    ),
    max_size=120,
)
PERCENTILES = st.sampled_from([0.1, 1, 10, 50, 90, 95, 99, 99.9, 99.99, 100])


def histogram(durations_ns) -> LatencyHistogram:
    made = LatencyHistogram()
    made.record_ns(np.array(durations_ns, dtype=np.int64))
    return made


def exact_ms(durations_ns, percentile, missing=0) -> float:
    """The value at the rank, from the sorted values themselves."""
    values = [0.0 if d < 0 else math.inf if d // 1000 > HIGHEST_US else d / MS for d in sorted(durations_ns)]
    values += [math.inf] * missing
    rank = max(math.ceil(len(values) * Fraction(str(percentile)) / 100), 1)
    return values[rank - 1]


@given(DURATIONS, st.integers(0, 30), PERCENTILES)
@example([k * 1000 for k in range(1, 12)], 0, 81.0)  # a rank that binary fractions used to put one too low
@example([k * 1000 for k in range(1, 98)], 0, 100 * 40 / 97)
def test_a_percentile_is_the_value_at_its_rank_to_three_digits(durations_ns, missing, percentile):
    if not durations_ns and not missing:
        return
    got = histogram(durations_ns).percentile_ms(percentile, missing=missing)
    wanted = exact_ms(durations_ns, percentile, missing)
    assert got == wanted or got == pytest.approx(wanted, rel=1.1e-3, abs=1.1e-3)


@given(st.lists(st.integers(0, HIGHEST_US) | st.integers(0, 40).map(lambda power: min(2**power, HIGHEST_US))))
def test_buckets_are_those_of_the_library_that_reads_them(values_us):
    theirs = HdrHistogram(1, HIGHEST_US, 3)
    for value in values_us:
        theirs.record_value(value)
    made = histogram([value * 1000 for value in values_us])
    assert made.to_json()["hdr_us"] == theirs.encode().decode()


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_every_rank_is_hit_exactly(case):
    count, rank = case
    values = np.arange(1, count + 1, dtype=np.int64) * 1000
    made = LatencyHistogram()
    made.record_ns(values)
    assert made.percentile_ms(100 * (rank - 0.5) / count) == pytest.approx(rank / 1000)


@given(st.lists(DURATIONS, max_size=5))
def test_merging_is_recording_all_at_once(parts):
    merged = LatencyHistogram()
    for part in parts:
        merged.merge(histogram(part))
    together = histogram([duration for part in parts for duration in part])
    assert merged.to_json() == together.to_json()


@given(DURATIONS)
def test_json_and_back_is_the_same(durations_ns):
    made = histogram(durations_ns)
    content = json.loads(json.dumps(made.to_json()))
    again = LatencyHistogram.from_json(content)
    assert again.to_json() == made.to_json()
    again.merge(made)
    assert again.count == 2 * len(durations_ns)


@given(DURATIONS)
def test_count_mean_and_extremes_are_exact(durations_ns):
    made = histogram(durations_ns)
    assert made.count == len(durations_ns)
    if durations_ns:
        assert made.mean_ms == pytest.approx(sum(durations_ns) / len(durations_ns) / MS)
        assert made.to_json()["min_ns"] == min(durations_ns)
        assert made.max_ms == pytest.approx(max(durations_ns) / MS, rel=1e-12)


def test_negative_and_overflowing_values_are_counted_not_dropped():
    made = histogram([-1, -MS, 5 * MS, TOP_NS + 1000, 2 * TOP_NS])
    assert (made.count, made.negative, made.overflow) == (5, 2, 2)
    assert made.percentile_ms(40) == 0
    assert made.percentile_ms(60) == pytest.approx(5, rel=1e-3)
    assert made.percentile_ms(80) == math.inf
    assert made.to_json()["min_ns"] == -MS
    assert made.max_ms == 2 * TOP_NS / MS


def test_the_edge_of_the_scale_is_on_the_scale():
    made = histogram([TOP_NS, TOP_NS + 999])
    assert made.overflow == 0
    assert made.percentile_ms(100) == pytest.approx(3_600_000, rel=1e-3)


def test_missing_records_count_as_infinite():
    made = histogram([MS] * 990)
    assert made.percentile_ms(99) == pytest.approx(1)
    assert made.percentile_ms(99, missing=10) == pytest.approx(1)
    assert made.percentile_ms(99, missing=11) == math.inf
    assert made.percentile_ms(50, missing=990) == pytest.approx(1)
    assert made.percentile_ms(50, missing=991) == math.inf


def test_all_missing_is_infinite_and_nothing_at_all_is_not_a_number():
    assert LatencyHistogram().percentile_ms(50, missing=1) == math.inf
    empty = LatencyHistogram()
    assert all(math.isnan(value) for value in (empty.percentile_ms(99), empty.mean_ms, empty.max_ms))
    assert empty.to_json()["min_ns"] is None


def test_no_percentile_is_above_the_exact_maximum():
    made = histogram([5_000_500])
    assert made.percentile_ms(99) <= made.max_ms


def test_recording_nothing_changes_nothing():
    made = histogram([MS])
    before = made.to_json()
    made.record_ns(np.empty(0, dtype=np.int64))
    made.merge(LatencyHistogram())
    assert made.to_json() == before


@pytest.mark.parametrize(("percentile", "count"), [(50, 200), (99, 1000), (99, 20_000)])
def test_the_interval_of_a_percentile_holds_the_true_one_19_times_in_20(percentile, count):
    rng = np.random.default_rng(7)
    true_ms = -10 * math.log(1 - percentile / 100)
    held = 0
    for _ in range(400):
        low_ms, high_ms = histogram(rng.exponential(10 * MS, count).astype(np.int64)).percentile_interval_ms(percentile)
        held += low_ms <= true_ms <= high_ms
    assert 0.93 <= held / 400 <= 0.99


@given(DURATIONS, st.integers(0, 30), PERCENTILES)
def test_the_interval_of_a_percentile_is_around_it(durations_ns, missing, percentile):
    made = histogram(durations_ns)
    low_ms, high_ms = made.percentile_interval_ms(percentile, missing=missing)
    value_ms = made.percentile_ms(percentile, missing=missing)
    assert low_ms <= value_ms <= high_ms or (math.isnan(low_ms) and math.isnan(value_ms))
