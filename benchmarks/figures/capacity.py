"""The most that one worker sends, with every record acknowledged, in the ledger and in histograms: a mock broker in
another process takes it, so that no broker is the limit."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.hub_profile import sampled, shares
from benchmarks.program import PROJECT_ROOT, run

#: More than anything here can do.
OFFERED_PER_S, DURATION_S, SETTLED_AFTER = 1_000_000, 10, 3
TOPICS = 3
MOST_LINES = 25


def measure(*, rounds: int, say: Callable[[str], None]) -> tuple[list[Figure], str]:
    """The rate, and the profile of what bounds it."""
    rates, costs = [], []
    for number in range(rounds):
        report = offer(OFFERED_PER_S)
        first, last = report["seconds"][SETTLED_AFTER - 1], report["seconds"][-1]
        acked, took_s = last["acked"] - first["acked"], last["at_s"] - first["at_s"]
        rates.append(acked / took_s)
        costs.append((last["cpu_s"] - first["cpu_s"]) / acked * 1e6)
        say(f"capacity, run {number + 1}: {rates[-1]:.0f} records/s acknowledged, {costs[-1]:.2f} µs CPU per record")
    with_reading = offer(OFFERED_PER_S, "--mirrored")["seconds"]
    both_per_s = (with_reading[-1]["arrived"] - with_reading[SETTLED_AFTER - 1]["arrived"]) / (
        with_reading[-1]["at_s"] - with_reading[SETTLED_AFTER - 1]["at_s"]
    )
    say(f"capacity, reading back too: {both_per_s:.0f} records/s")
    figures = [
        Figure.median(
            rates,
            name="capacity_records_per_s",
            title="one worker against a mock broker: sent, acknowledged, ledger, histograms",
            unit="records/s",
            direction=">=",
            limit=100_000,
            details={"cpu_us_per_record": statistics.median(costs)},
        ),
        Figure(
            name="capacity_verified_records_per_s",
            title="the same, and read back and verified",
            unit="records/s",
            value=both_per_s,
            note="no proof of anything: the mock keeps 100 000 records a partition, and forgets what the reader misses",
        ),
    ]
    with tempfile.TemporaryDirectory() as directory:
        samples = Path(directory) / "samples"
        report = offer(OFFERED_PER_S, samples=samples)
        return figures, profile(report, shares(samples.read_text(encoding="utf-8")))


def offer(records_per_s: int, *options: str, samples: Path | None = None) -> dict[str, Any]:
    """One run of the engine against a fresh mock. `samples`: where its hub spent the time is written there."""
    with mock_broker() as address:
        command = [
            sys.executable, "-m", "benchmarks.programs.engine_worker", "--broker", address, "--topics", str(TOPICS),
            "--rate", str(records_per_s), "--duration-s", str(DURATION_S), *options,
        ]  # fmt: skip
        return run(command if samples is None else sampled(command, samples), within_s=DURATION_S + 60).report


@contextmanager
def mock_broker() -> Iterator[str]:
    """A mock broker in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.programs.mock_broker"], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise AssertionError("the mock broker was started with a pipe")
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def profile(report: dict[str, Any], hub: Mapping[str, float]) -> str:
    """CPU by thread, and the hub's time by line."""
    seconds, threads = report["seconds"], report["threads_cpu_s"]
    took_s = seconds[-1]["at_s"]
    hub_s = threads[str(report["main_thread"])]
    lines = [
        f"acknowledged {seconds[-1]['acked'] / took_s:,.0f} records/s; CPU by thread, in cores:",
        f"  {hub_s / took_s:5.2f}  hub (Python: one core at most)",
        f"  {(sum(threads.values()) - hub_s) / took_s:5.2f}  librdkafka's own threads",
        "the hub's time, while not idle, by line (py-spy; C functions count for the line that calls them):",
        *(f"  {share:6.1%}  {where}" for where, share in list(hub.items())[:MOST_LINES]),
    ]
    return "\n".join(lines)
