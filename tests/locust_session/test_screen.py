"""The screen: a batch added at once gives the very table that Locust's own event per record gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment
from locust.stats import StatsEntry

from locust_session.screen import add_batch

LATENCIES_NS = st.one_of(
    st.integers(0, 20_000_000_000),
    st.integers(0, 30_000).map(lambda half_ms: half_ms * 500_000),  # ties of Locust's rounding
    st.integers(0, 30_000).map(lambda half_ms: half_ms * 500_000 + 1),
    st.integers(1, 30_000).map(lambda half_ms: half_ms * 500_000 - 1),
)


def by_event(batches) -> Environment:
    """Locust's own path: one `request` event per record."""
    environment = Environment()
    environment.create_local_runner()
    for batch in batches:
        for duration_ns in batch:
            environment.events.request.fire(
                request_type="replicate",
                name="end to end",
                response_time=duration_ns / 1e6,
                response_length=100,
                exception=None,
                context={},
            )
    return environment


def in_batches(batches) -> Environment:
    environment = Environment()
    environment.create_local_runner()
    for batch in batches:
        add_batch(environment, "e2e", np.array(batch, dtype=np.int64), 100)
    return environment


def table(entry: StatsEntry) -> dict:
    return {
        "response_times": dict(entry.response_times),
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "min": entry.min_response_time,
        "max": entry.max_response_time,
        "bytes": entry.total_content_length,
        "percentiles": [entry.get_response_time_percentile(p) for p in (0.5, 0.66, 0.95, 0.99, 0.999, 1.0)],
        "median": entry.median_response_time,
    }


@given(st.lists(st.lists(LATENCIES_NS, max_size=40), min_size=1, max_size=4))
def test_a_batch_gives_the_table_of_locusts_own_events(batches):
    one, other = by_event(batches), in_batches(batches)
    for mine, theirs in (
        (other.stats.total, one.stats.total),
        (other.stats.get("end to end", "replicate"), one.stats.get("end to end", "replicate")),
    ):
        assert table(mine) == table(theirs)
        assert mine.avg_response_time == pytest.approx(theirs.avg_response_time)
        assert sum(mine.num_reqs_per_sec.values()) == sum(theirs.num_reqs_per_sec.values())


def test_a_tie_is_rounded_once_not_twice():
    batches = [[105_400_000, 104_600_000, 105_000_000, 1_050_000_000, 500_000, 1_500_000]]
    assert table(in_batches(batches).stats.total) == table(by_event(batches).stats.total)


@pytest.mark.parametrize(("kind", "rows"), [("send_delay", []), ("ack", [("source ack", "produce")])])
def test_only_what_is_a_row_of_the_table_is_added(kind, rows):
    environment = Environment()
    environment.create_local_runner()
    add_batch(environment, kind, np.array([1_000_000], dtype=np.int64), 100)
    assert list(environment.stats.entries) == rows


def test_an_empty_batch_makes_no_row():
    environment = Environment()
    environment.create_local_runner()
    add_batch(environment, "e2e", np.empty(0, dtype=np.int64), 100)
    assert not environment.stats.entries
