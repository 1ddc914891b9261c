"""CPU per record at one rate, ours and the rivals' in turn; the hub's stalls are of the same runs of ours."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.ours import OurRun, play
from benchmarks.program import BenchmarkError
from benchmarks.rivals import bare_script, careful_locust, producer_perf_test

RATE_PER_S, DURATION_S, WINDOW_S = 20_000, 22, 12.0
RIVALS = {"perf-test": producer_perf_test, "bare script": bare_script, "careful Locust user": careful_locust}
LIMITS = {"perf-test": 0.6, "bare script": 1.25, "careful Locust user": 1.2}


def measure(lab: BenchLab, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Rounds of one run each, every round in another order. Raises BenchmarkError."""
    runs: list[OurRun] = []
    costs: dict[str, list[float]] = {name: [] for name in ("ours", *RIVALS)}

    def ours() -> float:
        run = play(lab.environment, lab.scratch, name="cpu", records_per_s=RATE_PER_S, duration_s=DURATION_S)
        if not run.holds:
            raise BenchmarkError(f"the run at {RATE_PER_S}/s is not GO: {run.why_not()}")
        runs.append(run)
        return run.cpu_us_per_record(WINDOW_S)

    turns: list[tuple[str, Callable[[], float]]] = [
        ("ours", ours),
        *(
            (name, partial(rival, lab, records_per_s=RATE_PER_S, duration_s=DURATION_S, window_s=WINDOW_S))
            for name, rival in RIVALS.items()
        ),
    ]
    for number in range(rounds):
        for name, run in turns[number % len(turns) :] + turns[: number % len(turns)]:
            costs[name].append(run())
            say(f"round {number + 1}: {name} {costs[name][-1]:.1f} µs CPU per record")
    return [*_costs(costs), *_ratios(costs), _stalls(runs)]


def _costs(costs: dict[str, list[float]]) -> list[Figure]:
    what = {
        "ours": "sent, acked, read back, verified, in ledger and histograms, Locust and master included",
        "perf-test": "sent and acked",
        "bare script": "sent, acked, read back; latencies in a list",
        "careful Locust user": "sent and acked, one Locust event each",
    }
    return [
        Figure.median(
            samples,
            name=f"cpu_us_per_record_{_key(name)}",
            title=f"CPU per record at {RATE_PER_S}/s: {name}",
            unit="µs",
            note=what[name],
        )
        for name, samples in costs.items()
    ]


def _ratios(costs: dict[str, list[float]]) -> list[Figure]:
    return [
        Figure.median(
            [ours / theirs for ours, theirs in zip(costs["ours"], costs[name], strict=True)],
            name=f"cpu_ratio_{_key(name)}",
            title=f"CPU per record: ours / {name}",
            unit="×",
            direction="<=",
            limit=limit,
        )
        for name, limit in LIMITS.items()
    ]


def _stalls(runs: list[OurRun]) -> Figure:
    return Figure.median(
        [run.hub_late_ms(99.9, WINDOW_S) for run in runs],
        name="hub_stall_p999",
        title=f"hub stall at {RATE_PER_S}/s, p99.9 (lateness of a 5 ms greenlet timer)",
        unit="ms",
        direction="<=",
        limit=50,
        details={
            "p50_ms": statistics.median(run.hub_late_ms(50, WINDOW_S) for run in runs),
            "max_ms": max(run.hub_late_ms(100, WINDOW_S) for run in runs),
        },
    )


def _key(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
