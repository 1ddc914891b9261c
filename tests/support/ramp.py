"""Synthetic runs of phase 4, rehearsed: steps of 20 s, each with a rest of 2 minutes. Healthy unless spoilt.

    run = write_ramp(tmp_path, ["step_1000", "step_2500"], backlog={"step_2500": 40_000})
    write_evidence(run, ramp_metrics(...))

Times of the metrics are seconds after T0, as in tests.support.records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from checks.metric_profiles import Role
from run_record.counts import Counts
from scenarios.scenario import load, parse_scenario
from scenarios.staircase import next_step
from tests.support.phase2 import TOPICS
from tests.support.records import SOURCE_CONNECTOR, Item, Metrics, healthy_closing, points, write_run

STEP_S, REST_S, START_S, AROUND_S = 20.0, 120.0, 71.0, 62.0
RATES = {"step_1000": 1000, "step_2500": 2500, "step_5000": 5000, "step_7500": 7500, "step_10000": 10_000}
#: The ramp without its warm-up, which nobody judges.
SCENARIO = load("phase4_ramp").text.replace(", warm: 30s", "")
LADDER = parse_scenario(SCENARIO, file="phase4_ramp.yaml").scenario.staircase.ladder()


def rate_of(step: str) -> int:
    return int(step.split("_")[1])


def starts(steps: Sequence[str]) -> dict[str, float]:
    """When each step begins."""
    return {step: START_S + number * (STEP_S + REST_S) for number, step in enumerate(steps)}


def end_of(steps: Sequence[str]) -> float:
    """When the watch ends."""
    return START_S + len(steps) * (STEP_S + REST_S) + AROUND_S


def verdicts_that_lead(steps: Sequence[str]) -> dict[str, str]:
    """What the judge that looked on must have said of each step for the next one to be played; of the last one, for
    none to be, if it can be."""
    verdicts: dict[str, str] = {}
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        for verdict in ("GO", "NOGO"):
            came = next_step(LADDER, {**verdicts, step: verdict})
            if (None if came is None else came.name) == following:
                break
        verdicts[step] = verdict
    return verdicts


def write_ramp(
    runs: Path,
    steps: Sequence[str],
    *,
    e2e_ms: Mapping[str, float] | None = None,
    ack_ms: Mapping[str, float] | None = None,
    backlog: Mapping[str, float] | None = None,
    recovers_s: float = 20.0,
    lost: Mapping[str, int] | None = None,
    sent: Mapping[str, int] | None = None,
    **settings: Any,
) -> Path:
    """A run directory. `backlog` is that of a step at its end; it is gone `recovers_s` later."""
    e2e_ms, ack_ms, backlog, lost, sent = e2e_ms or {}, ack_ms or {}, backlog or {}, lost or {}, sent or {}
    phases: list[tuple[str, str, float, float, int]] = [
        ("canary", "canary", 0, 5, 0),
        ("silence", "silence", 5, START_S, 0),
    ]
    counts: dict[str, Counts] = {}
    for step, start_s in starts(steps).items():
        planned = int(rate_of(step) * STEP_S)
        phases.append((step, "load", start_s, start_s + STEP_S, planned))
        phases.append((f"{step}_rest", "rest", start_s + STEP_S, start_s + STEP_S + REST_S, 0))
        made = sent.get(step, planned)
        counts[step] = Counts(sent=made, acked=made, arrived=made - lost.get(step, 0), lost=lost.get(step, 0))
    end_s = end_of(steps)
    phases += [("drain", "drain", end_s - AROUND_S, end_s - 60, 0), ("watch", "watch", end_s - 60, end_s, 0)]
    arguments: dict[str, Any] = {
        "counts": counts,
        "phases": phases,
        "rehearsal": "1/15",
        "scenario": SCENARIO,
        "partitions": 1,
        "e2e_ms": {step: [e2e_ms.get(step, 30.0)] for step in steps},
        "ack_ms": ack_ms,
        "backlog": lambda at_s: _backlog(at_s, steps, backlog, recovers_s),
        "keep_histograms": True,
        "judged": verdicts_that_lead(steps),
        "run_id": "20270115T080000Z-phase4_ramp",
        "closing": healthy_closing([(topic, f"source.{topic}", 1) for topic in TOPICS]),
        **settings,
    }
    return write_run(runs, **arguments)


def _backlog(at_s: float, steps: Sequence[str], backlog: Mapping[str, float], recovers_s: float) -> int:
    for step, start_s in starts(steps).items():
        inside_s = at_s - start_s
        if 0 < inside_s <= STEP_S:
            return int(backlog.get(step, 40.0) * inside_s / STEP_S)
        if STEP_S < inside_s <= STEP_S + min(recovers_s, REST_S):
            return int(backlog.get(step, 0.0))
    return 0


def ramp_metrics(
    steps: Sequence[str],
    *,
    latency_ms: Mapping[str, float] | None = None,
    cpu_share: Mapping[str, float] | None = None,
    throttle_ms: Mapping[str, float] | None = None,
) -> Metrics:
    """What Prometheus holds of a healthy ramp: two tasks on two workers."""
    latency_ms, cpu_share, throttle_ms = latency_ms or {}, cpu_share or {}, throttle_ms or {}
    begun = starts(steps)
    last_s = end_of(steps) + 20

    def item(value: Callable[[float], float | None], **labels: str) -> Item:
        return {"metric": {"job": "kafka-connect", **labels}, "values": points(value, end_s=last_s)}

    def counting(share: float) -> Callable[[float], float]:
        return lambda at_s: (
            60.0 + sum(share * rate_of(step) * min(max(at_s - start_s, 0.0), STEP_S) for step, start_s in begun.items())
        )

    def looking_back(values: Mapping[str, float], usual: float) -> Callable[[float], float]:
        def value(at_s: float) -> float:
            for step, start_s in begun.items():
                if start_s < at_s < start_s + STEP_S + 60:
                    return values.get(step, usual)
            return float("nan")

        return value

    def cpu(at_s: float) -> float:
        """Seconds of one of two processors, at the share of both that each step takes."""
        return sum(2 * cpu_share.get(s, 0.2) * min(max(at_s - start_s, 0.0), STEP_S) for s, start_s in begun.items())

    hosts = ["w1", "w2"]
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

    def each(labels: list[dict[str, str]], value: Callable[[float], float | None], **more: str) -> list[Item]:
        return [item(value, **one, **more) for one in labels]

    return {
        Role.UP: each(workers, lambda _: 1.0),
        Role.POLL_TOTAL: each(tasks, counting(0.5)),
        Role.WRITE_TOTAL: each(tasks, counting(0.5)),
        Role.ACTIVE_COUNT: each(tasks, lambda _: 20.0),
        Role.FAILED_TASKS: each(workers, lambda _: 0.0, connector=SOURCE_CONNECTOR),
        Role.TASK_ERRORS: each(tasks, lambda _: 0.0),
        Role.TASK_FAILURES: each(tasks, lambda _: 0.0),
        Role.TASK_SKIPPED: each(tasks, lambda _: 0.0),
        Role.RECORD_COUNT: each(mirrors, counting(1 / len(TOPICS))),
        Role.LATENCY_AVG: each(mirrors, looking_back(latency_ms, 20.0)),
        Role.LATENCY_MAX: each(mirrors, looking_back({s: 3 * v for s, v in latency_ms.items()}, 90.0)),
        Role.BUFFER_AVAILABLE: each(producers, lambda _: 31.0),
        Role.BUFFER_TOTAL: each(producers, lambda _: 32.0),
        Role.BUFFER_EXHAUSTED: each(producers, lambda _: 0.0),
        Role.THROTTLE_MAX: each(producers, looking_back(throttle_ms, 0.0)),
        Role.PROCESS_CPU: each(workers, cpu),
        Role.HEAP_USED: each(workers, lambda _: 200.0, area="heap"),
        Role.HEAP_MAX: each(workers, lambda _: 1000.0, area="heap"),
        Role.NODE_CPU_IDLE: [
            *each(nodes, lambda at_s: at_s - cpu(at_s) / 2, cpu="0", mode="idle"),
            *each(nodes, lambda at_s: at_s - cpu(at_s) / 2, cpu="1", mode="idle"),
        ],
        Role.NODE_MEMORY_AVAILABLE: each(nodes, lambda _: 600.0),
        Role.NODE_MEMORY_TOTAL: each(nodes, lambda _: 1000.0),
    }
