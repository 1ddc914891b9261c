"""How many records per second one worker sends through MM2 and verifies, nothing lost; and what the lab can carry."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks import scenario
from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.ours import OurRun, play

NAME = "verified_records_per_s"
RATE_PER_S, DURATION_S = 30_000, 60
#: More than the lab carries: what arrives then is its limit, with the generator on the same cores.
OVERLOAD_PER_S, OVERLOAD_S, SETTLED_AFTER_S = 60_000, 15, 5.0


def measure(lab: BenchLab, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """The rate in the runs that are GO: load applied, everything arrived once, nothing lost, late or corrupted."""
    rates: list[float] = []
    notes: list[str] = []
    latencies: list[tuple[float, float]] = []
    for number in range(rounds):
        run = play(lab.environment, lab.scratch, name="e2e", records_per_s=RATE_PER_S, duration_s=DURATION_S)
        rates.append(run.counts()["arrived"] / DURATION_S if run.holds else 0.0)
        if not run.holds:
            notes.append(f"run {number + 1} is not GO: {run.why_not()}")
        e2e = run.latency("e2e")
        latencies.append((e2e.percentile_ms(50), e2e.percentile_ms(99)))
        say(f"end to end, run {number + 1}: {rates[-1]:.0f} records/s verified, e2e p99 {latencies[-1][1]:.0f} ms")
    limit_per_s = lab_limit(lab)
    say(f"the lab carries {limit_per_s:.0f} records/s")
    return [
        Figure.median(
            rates,
            name=NAME,
            title=f"verified end to end through MM2, one worker, {DURATION_S} s, nothing lost, load applied",
            unit="records/s",
            direction=">=",
            limit=RATE_PER_S,
            note="; ".join(notes),
            details={
                "e2e_p50_ms": statistics.median(p50 for p50, _ in latencies),
                "e2e_p99_ms": statistics.median(p99 for _, p99 in latencies),
            },
        ),
        Figure(
            name="lab_limit_records_per_s",
            title="the lab's own limit: MM2's rate when more is sent than it carries",
            unit="records/s",
            value=limit_per_s,
            note=f"{OVERLOAD_PER_S}/s offered for {OVERLOAD_S} s by one worker on the same cores",
        ),
    ]


def lab_limit(lab: BenchLab) -> float:
    """Arrivals per second under overload, once it has settled."""
    run = play(lab.environment, lab.scratch, name="overload", records_per_s=OVERLOAD_PER_S, duration_s=OVERLOAD_S)
    return arrivals_per_s(run, after_s=SETTLED_AFTER_S)


def arrivals_per_s(run: OurRun, *, after_s: float) -> float:
    """Over the load phase less its first seconds."""
    rows = [row for row in run.record.timeline if row.phase == scenario.PHASE]
    rows = [row for row in rows if row.at_ns >= rows[0].at_ns + after_s * 1e9]
    return (rows[-1].arrived - rows[0].arrived) / ((rows[-1].at_ns - rows[0].at_ns) / 1e9)
