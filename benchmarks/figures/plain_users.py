"""The rate of the public pattern for Kafka users in Locust, and how many times that ours is."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.rivals import plain_locust

USERS, DURATION_S = 20, 8


def measure(lab: BenchLab, *, rounds: int, verified_per_s: float, say: Callable[[str], None]) -> list[Figure]:
    """`verified_per_s`: what one worker of ours sends and verifies through the same lab."""
    rates = [plain_locust(lab, users=USERS, duration_s=DURATION_S) for _ in range(rounds)]
    say(f"plain Locust users: {statistics.median(rates):.0f} records/s")
    return [
        Figure.median(
            rates,
            name="plain_locust_records_per_s",
            title=f"plain Locust Kafka users ({USERS} in one process): sent",
            unit="records/s",
        ),
        Figure.median(
            [verified_per_s / rate for rate in rates],
            name="rate_ratio_plain_locust",
            title="rate: ours, verified / plain Locust users, sent",
            unit="×",
            direction=">=",
            limit=150,
        ),
    ]
