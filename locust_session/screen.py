"""Feeds Locust's statistics, for the screen, in batches: they round to two digits, so no verdict rests on them.

Adding a batch to an entry directly costs a fraction of firing one `request` event per record, and gives the same table;
tests/locust_session/test_screen.py holds Locust's own path beside it.
"""

from __future__ import annotations

import time

import locust.stats
import numpy as np
from locust.env import Environment
from locust.stats import StatsEntry
from numpy.typing import NDArray

#: What the engine calls its latencies → the row of Locust's table.
ROWS = {"ack": ("produce", "source ack"), "e2e": ("replicate", "end to end")}
NS_PER_MS = 1_000_000


def add_batch(environment: Environment, kind: str, durations_ns: NDArray[np.int64], record_bytes: int) -> None:
    """Adds latencies of one kind; kinds that are no row of the table are left out. Call from a greenlet only."""
    if kind not in ROWS or len(durations_ns) == 0:
        return
    method, name = ROWS[kind]
    durations_ms = durations_ns / NS_PER_MS
    now_s = time.time()
    stats = environment.stats
    batch = StatsEntry(stats, name, method)
    # Locust rounds at multiples of 0.5 ms, ties to even: all values between two of them fare alike, so one stands for
    # them. The function is looked up late, since Locust lets users replace it.
    halves = np.floor(2 * durations_ms)
    representatives = np.where(halves == 2 * durations_ms, halves, halves + 0.5) / 2
    for value, count in zip(*np.unique(representatives, return_counts=True), strict=True):
        bucket = locust.stats.bucket_response_time(float(value))
        batch.response_times[bucket] = batch.response_times.get(bucket, 0) + int(count)
    batch.num_requests = len(durations_ms)
    batch.total_response_time = float(durations_ms.sum())  # type: ignore[assignment] # Locust's own events pass floats here
    batch.min_response_time = float(durations_ms.min())  # type: ignore[assignment]
    batch.max_response_time = float(durations_ms.max())  # type: ignore[assignment]
    batch.total_content_length = record_bytes * len(durations_ms)
    batch.last_request_timestamp = now_s
    batch.num_reqs_per_sec[int(now_s)] = len(durations_ms)
    for entry in (stats.entries[(name, method)], stats.total):
        entry.extend(batch)
