"""Synthetic runs of phase 2, rehearsed at 1/30: one minute of load at 1000 records/s, healthy unless spoilt.

    run = write_phase2(tmp_path, backlog=lambda at_s: 40 + 500 * at_s)
    write_evidence(run, phase2_metrics())

Times of the metrics are seconds after T0 as in tests.support.records; those of `backlog` start with the load.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from checks.metric_profiles import Role
from run_record.counts import Counts
from scenarios.scenario import load, parse_scenario
from tests.support.records import (
    NETWORK_NAMES,
    SOURCE_CONNECTOR,
    TOPIC,
    Item,
    Metrics,
    healthy_closing,
    made_once,
    points,
    write_run,
)

RECORDS = 60_000
COUNTS = Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)
START_S, END_S, DRAINED_S, WATCHED_S = 71.0, 131.0, 133.0, 193.0
PHASES = (
    ("canary", "canary", 0, 5, 0),
    ("silence", "silence", 5, 71, 0),
    ("nominal", "load", 71, 131, RECORDS),
    ("drain", "drain", 131, 133, 0),
    ("watch", "watch", 133, 193, 0),
)


def stopped_after(seconds: float) -> tuple[tuple[str, str, float, float, int], ...]:
    """The phases of a run that somebody stopped so many seconds into its load."""
    end_s = START_S + seconds
    return (*PHASES[:2], ("nominal", "load", START_S, end_s, RECORDS), ("drain", "drain", end_s, end_s + 2, 0))


TOPICS = [TOPIC.replace("01", f"{n:02d}") for n in range(1, 11)]


def write_phase2(
    runs: Path, *, backlog: Callable[[float], float] = lambda _: 40.0, load_end_s: float = END_S, **settings: Any
) -> Path:
    """A run directory; `backlog` is the lag at each second of the load, which has the scenario's name for it."""
    text = str(settings.get("scenario") or load("phase2_nominal").text)
    (name,) = (phase.name for phase in parse_scenario(text, file="scenario.yaml").scenario.load_phases)

    def behind(at_s: float) -> float:
        return backlog(at_s - START_S) if START_S < at_s <= load_end_s else 0.0

    arguments: dict[str, Any] = {
        "counts": COUNTS,
        "phases": [(name if kind == "load" else one, kind, *rest) for one, kind, *rest in PHASES],
        "rehearsal": "1/30",
        "scenario": text,
        "partitions": 1,
        "backlog": behind,
        "run_id": "20270115T080000Z-phase2_nominal",
        "closing": healthy_closing([(topic, f"source.{topic}", 1) for topic in TOPICS]),
        **settings,
    }
    return write_run(runs, **arguments)


def item(value: Callable[[float], float | None], /, **labels: str) -> Item:
    """One series, scraped until after the watch."""
    return {"metric": {"job": "kafka-connect", **labels}, "values": points(value, end_s=WATCHED_S + 20)}


def growing(base: float, by: float, *, until_s: float = END_S) -> Callable[[float], float]:
    """A counter that grows evenly from the load's start to an instant."""
    return lambda at_s: base + by * min(max((at_s - START_S) / (until_s - START_S), 0.0), 1.0)


def during(value: float) -> Callable[[float], float]:
    """A gauge that looks back: NaN outside the load and the minute after."""
    return lambda at_s: value if START_S < at_s < END_S + 60 else float("nan")


@made_once
def phase2_metrics() -> Metrics:
    """What Prometheus holds of a healthy minute: 1000 records/s over two tasks on two workers."""
    hosts = [f"w{n}" for n in (1, 2)]
    tasks = [{"instance": f"{h}:9404", "connector": SOURCE_CONNECTOR, "task": str(n)} for n, h in enumerate(hosts)]
    mirrors = [
        {"instance": f"{hosts[n % 2]}:9404", "topic": f"source.{topic}", "partition": "0"}
        for n, topic in enumerate(TOPICS)
    ]
    producers = [
        {"instance": f"{h}:9404", "client_id": f"connector-producer-{SOURCE_CONNECTOR}-{n}"}
        for n, h in enumerate(hosts)
    ]
    workers = [{"instance": f"{h}:9404"} for h in hosts]
    nodes = [{"instance": f"{h}:9100", "job": "node-exporter"} for h in hosts]
    half = RECORDS / 2

    def each(labels: list[dict[str, str]], value: Callable[[float], float | None], **more: str) -> list[Item]:
        return [item(value, **one, **more) for one in labels]

    return {
        Role.UP: each(workers, lambda _: 1.0),
        Role.POLL_TOTAL: each(tasks, growing(60.0, half)),
        Role.WRITE_TOTAL: each(tasks, growing(60.0, half)),
        Role.ACTIVE_COUNT: each(tasks, lambda _: 20.0),
        Role.OFFSET_COMMIT_MAX: each(tasks, lambda _: 15.0),
        Role.OFFSET_COMMIT_FAILURE: each(tasks, lambda _: 0.0),
        Role.FAILED_TASKS: each(workers, lambda _: 0.0, connector=SOURCE_CONNECTOR),
        Role.TASK_ERRORS: each(tasks, lambda _: 0.0),
        Role.TASK_FAILURES: each(tasks, lambda _: 0.0),
        Role.TASK_SKIPPED: each(tasks, lambda _: 0.0),
        Role.RECORD_COUNT: each(mirrors, growing(60.0, RECORDS / len(TOPICS))),
        Role.BYTE_COUNT: each(mirrors, growing(61_440.0, RECORDS / len(TOPICS) * 1024)),
        Role.LATENCY_AVG: each(mirrors, during(20.0)),
        Role.LATENCY_MAX: each(mirrors, during(90.0)),
        Role.REBALANCES: each(workers, lambda _: 3.0),
        Role.BUFFER_EXHAUSTED: each(producers, lambda _: 0.0),
        Role.RECORD_AGE_AVG: each(mirrors, during(9.0)),
        Role.RECORD_AGE_MAX: each(mirrors, during(40.0)),
        Role.BUFFER_AVAILABLE: each(producers, lambda _: 31.0),
        Role.BUFFER_TOTAL: each(producers, lambda _: 32.0),
        Role.THROTTLE_MAX: each(producers, during(0.0)),
        Role.PROCESS_CPU: each(workers, lambda at_s: 10.0 + 0.2 * at_s),
        Role.HEAP_USED: each(workers, lambda _: 200.0, area="heap"),
        Role.HEAP_MAX: each(workers, lambda _: 1000.0, area="heap"),
        Role.NODE_CPU_IDLE: [
            *each(nodes, lambda at_s: 0.7 * at_s, cpu="0", mode="idle"),
            *each(nodes, lambda at_s: 0.7 * at_s, cpu="1", mode="idle"),
        ],
        Role.NODE_MEMORY_AVAILABLE: each(nodes, lambda _: 600.0),
        Role.NODE_MEMORY_TOTAL: each(nodes, lambda _: 1000.0),
        Role.NODE_NETWORK_TROUBLE: [
            one for name in sorted(NETWORK_NAMES) for one in each(nodes, lambda _: 3.0, device="eth0", __name__=name)
        ],
    }


def spoil(metrics: Metrics, role: Role, value: Callable[[float], float | None], *, which: int | None = None) -> Metrics:
    """The metrics with other values in a role: in all of its series, or in one."""
    return {
        **metrics,
        role: [
            {**one, "values": points(value, end_s=WATCHED_S + 20)} if which in (None, number) else one
            for number, one in enumerate(metrics[role])
        ],
    }
