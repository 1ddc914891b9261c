"""How late records are handed to the producer, of every record, at half of the usual rate."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.ours import play
from benchmarks.program import BenchmarkError

RATE_PER_S, DURATION_S = 10_000, 12


def measure(lab: BenchLab, *, rounds: int, say: Callable[[str], None]) -> Figure:
    """p99 over the whole load phase, its first second included. Raises BenchmarkError."""
    samples, medians = [], []
    for number in range(rounds):
        run = play(lab.environment, lab.scratch, name="delay", records_per_s=RATE_PER_S, duration_s=DURATION_S)
        delay = run.latency("send_delay")
        if delay.count != run.counts()["sent"]:
            raise BenchmarkError(f"{delay.count} send delays of {run.counts()['sent']} records")
        samples.append(delay.percentile_ms(99))
        medians.append(delay.percentile_ms(50))
        say(f"send delay, run {number + 1}: p50 {medians[-1]:.2f} ms, p99 {samples[-1]:.2f} ms")
    return Figure.median(
        samples,
        name="send_delay_p99",
        title=f"send delay at {RATE_PER_S}/s in the lab, p99, recorded for every record",
        unit="ms",
        direction="<=",
        limit=3,
        details={"p50_ms": medians},
    )
