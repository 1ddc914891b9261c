"""CPU per record at one rate, ours and the rivals' in turn; the hub's stalls are of the same runs of ours.

Two figures each. *Steady*: over the last seconds of the load, when a JVM has compiled what it runs. *Whole*: all that
the process spends from its start to its end, by the records it sent, which is what a run of this length costs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.ours import OurRun, play
from benchmarks.program import BenchmarkError, Cost
from benchmarks.rivals import bare_script, careful_locust, producer_perf_test

RATE_PER_S, DURATION_S, WINDOW_S = 20_000, 20, 10.0
#: From the load's first second or two on; it must be over when the window begins.
HUB_WATCHED_S = 7.0
OURS, PERF_TEST, PERF_TEST_FILE = "ours", "kafka-producer-perf-test", "kafka-producer-perf-test, payloads from a file"
BARE, CAREFUL = "bare script", "careful Locust user"
DOES = {
    OURS: "sent, acked, read back, verified, in ledger and histograms; all of a Locust worker",
    PERF_TEST: "sent and acked, as documented (--record-size: it makes each record's bytes); nothing is verified",
    PERF_TEST_FILE: "sent and acked; nothing is verified",
    BARE: "sent, acked, read back; latencies in a list",
    CAREFUL: "sent and acked, one Locust event each",
}
WHICH = {"steady_us": "steady", "whole_us": "the whole run"}


def measure(lab: BenchLab, *, rounds: int, full: bool, say: Callable[[str], None]) -> list[Figure]:
    """Rounds of one run each, every round in another order. `full`: with the rival that only tells where the cost of
    another comes from. Raises BenchmarkError."""
    runs: list[OurRun] = []

    def ours() -> Cost:
        run = play(
            lab.environment,
            lab.scratch,
            name="cpu",
            records_per_s=RATE_PER_S,
            duration_s=DURATION_S,
            hub_watched_s=HUB_WATCHED_S,
        )
        if not run.holds:
            raise BenchmarkError(f"the run at {RATE_PER_S}/s is not GO: {run.why_not()}")
        runs.append(run)
        return run.cost(WINDOW_S)

    rivals: list[tuple[str, Callable[..., Cost]]] = [
        (PERF_TEST, producer_perf_test),
        (BARE, bare_script),
        (CAREFUL, careful_locust),
    ]
    if full:
        rivals.append((PERF_TEST_FILE, partial(producer_perf_test, from_file=True)))
    turns: list[tuple[str, Callable[[], Cost]]] = [(OURS, ours)]
    turns += [
        (name, partial(rival, lab, records_per_s=RATE_PER_S, duration_s=DURATION_S, window_s=WINDOW_S))
        for name, rival in rivals
    ]
    costs: dict[str, list[Cost]] = {name: [] for name, _ in turns}
    for number in range(rounds):
        first = number % len(turns)
        for name, run in turns[first:] + turns[:first]:
            cost = run()
            costs[name].append(cost)
            say(f"round {number + 1}: {name}: {cost.steady_us:.1f} µs CPU per record, {cost.whole_us:.1f} on the whole")
    return [*_costs(costs), *_ratios(costs), _stalls(runs)]


def _costs(costs: dict[str, list[Cost]]) -> list[Figure]:
    return [
        Figure.median(
            [cost.steady_us for cost in some],
            name=f"cpu_us_per_record_{_key(name)}",
            title=f"CPU per record at {RATE_PER_S}/s: {name}",
            unit="µs",
            note=DOES[name],
            details={"whole_us": statistics.median(cost.whole_us for cost in some)},
        )
        for name, some in costs.items()
    ]


def _ratios(costs: dict[str, list[Cost]]) -> list[Figure]:
    def ratio(rival: str, which: str, limit: float | None) -> Figure:
        return Figure.median(
            [getattr(a, which) / getattr(b, which) for a, b in zip(costs[OURS], costs[rival], strict=True)],
            name=f"cpu_ratio_{_key(rival)}_{which.removesuffix('_us')}",
            title=f"CPU per record, {WHICH[which]}: ours / {rival}",
            unit="×",
            direction=None if limit is None else "<=",
            limit=limit,
        )

    return [
        ratio(PERF_TEST, "whole_us", 0.6),
        ratio(PERF_TEST, "steady_us", None),
        ratio(BARE, "whole_us", None),
        ratio(BARE, "steady_us", 1.25),
        ratio(CAREFUL, "steady_us", 1.2),
        *([ratio(PERF_TEST_FILE, which, None) for which in WHICH] if PERF_TEST_FILE in costs else []),
    ]


def _stalls(runs: list[OurRun]) -> Figure:
    return Figure.median(
        [run.hub_late_ms(99.9) for run in runs],
        name="hub_stall_p999",
        title=f"hub stall at {RATE_PER_S}/s, p99.9 (lateness of a 5 ms greenlet timer)",
        unit="ms",
        direction="<=",
        limit=50,
        details={
            "p50_ms": statistics.median(run.hub_late_ms(50) for run in runs),
            "max_ms": max(run.hub_late_ms(100) for run in runs),
        },
    )


def _key(name: str) -> str:
    return name.lower().replace(",", "").replace("-", "_").replace(" ", "_")
