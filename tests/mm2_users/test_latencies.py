"""Latencies of a second: however they were told, the histograms hold each of them once."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.latencies import Latencies
from run_record.histogram import LatencyHistogram

BATCHES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(
            st.tuples(st.integers(-10, 10**10), st.integers(0, 5)),
            st.fixed_dictionaries(
                {"starts": st.lists(st.integers(0, 10**10), max_size=5), "end": st.integers(0, 2 * 10**10)}
            ),
        ),
    ),
    max_size=8,
)


def histogram(durations_ns: list[int]) -> dict:
    made = LatencyHistogram()
    made.record_ns(np.array(durations_ns, dtype=np.int64))
    return made.to_json()


@given(st.lists(BATCHES, max_size=3))
def test_every_duration_is_in_its_second_and_in_its_phase(seconds):
    latencies, phases, wanted = Latencies(), defaultdict(LatencyHistogram), defaultdict(list)
    for batches in seconds:
        this_second: list[int] = []
        for phase, told in batches:
            if isinstance(told, dict):
                latencies.add_since(phase, np.array(told["starts"], dtype=np.int64), told["end"])
                durations_ns = [told["end"] - start for start in told["starts"]]
            else:
                latencies.add_same(phase, *told)
                durations_ns = [told[0]] * told[1]
            wanted[phase] += durations_ns
            this_second += durations_ns
        recent, everything = latencies.flush_into(phases)
        assert recent.to_json() == histogram(this_second)
        assert sorted(everything.tolist()) == sorted(this_second)
    assert {phase: made.to_json() for phase, made in phases.items()} == {
        phase: histogram(durations_ns) for phase, durations_ns in wanted.items()
    }


def test_what_a_phase_has_so_far_is_not_what_the_second_had():
    latencies, phases = Latencies(), defaultdict(LatencyHistogram)
    latencies.add_same(0, 5_000_000, 3)
    first, _ = latencies.flush_into(phases)
    latencies.add_same(0, 7_000_000, 2)
    second, _ = latencies.flush_into(phases)
    assert (first.count, second.count, phases[0].count) == (3, 2, 5)
