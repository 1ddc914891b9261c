"""Synthetic runs of phase 2, rehearsed at 1/30: one minute of load at 1000 records/s, healthy unless spoilt.

    run = write_phase2(tmp_path, backlog=lambda at_s: 40 + 500 * at_s)
    write_evidence(run, phase2_metrics())

Times of the metrics are seconds after T0 as in tests.support.records; those of `backlog` start with the load.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checks.metric_profiles import Role
from run_record.counts import Counts
from run_record.store import SEAL, sums
from scenarios.scenario import load
from tests.support.records import SOURCE_CONNECTOR, T0_NS, TOPIC, Item, Metrics, healthy_closing, points, write_run

RECORDS = 60_000
COUNTS = Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)
START_S, END_S, DRAINED_S, WATCHED_S = 71.0, 131.0, 133.0, 193.0
PHASES = (
    ("canary", "canary", 0, 5, 0),
    ("silence", "silence", 5, 71, 0),
    ("smoke", "load", 71, 131, RECORDS),
    ("drain", "drain", 131, 133, 0),
    ("watch", "watch", 133, 193, 0),
)
TOPICS = [TOPIC.replace("01", f"{n:02d}") for n in range(1, 11)]


def write_phase2(
    runs: Path, *, backlog: Callable[[float], float] = lambda _: 40.0, load_end_s: float = END_S, **settings: Any
) -> Path:
    """A run directory; `backlog` is the lag at each second of the load."""
    arguments: dict[str, Any] = {
        "counts": COUNTS,
        "planned": RECORDS,
        "phases": PHASES,
        "rehearsal": "1/30",
        "scenario": load("phase2_nominal").text,
        "e2e_ms": [20.0] * 2000,
        "send_delay_ms": [1.0] * 2000,
        "run_id": "20270115T080000Z-phase2_nominal",
        "closing": healthy_closing([(topic, f"source.{topic}", 1) for topic in TOPICS]),
        **settings,
    }
    directory = write_run(runs, **arguments)
    record = directory / "record"
    _rewrite(record / "timeline.jsonl", lambda row: _with_backlog(row, backlog, load_end_s))
    manifest = json.loads((record / "manifest.json").read_text(encoding="utf-8"))
    manifest["topics"] = [{"source": t, "remote": f"source.{t}", "partitions": 1} for t in TOPICS]
    (record / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if (record / "ledger.json").is_file():
        ledger = json.loads((record / "ledger.json").read_text(encoding="utf-8"))
        ledger["streams"] = [{**ledger["streams"][0], "topic": topic} for topic in TOPICS]
        (record / "ledger.json").write_text(json.dumps(ledger), encoding="utf-8")
    if (record / SEAL).is_file():
        (record / SEAL).write_text(sums(record), encoding="utf-8")
    return directory


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    rows = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _with_backlog(row: dict[str, Any], backlog: Callable[[float], float], load_end_s: float) -> dict[str, Any]:
    at_s = (row["at_ns"] - T0_NS) / 1e9 - START_S
    acked = int(1000 * min(max(at_s, 0), 60))
    behind = int(backlog(at_s)) if 0 < at_s <= load_end_s - START_S else 0
    return {**row, "sent": acked, "wanted": acked, "acked": acked, "arrived": acked - behind, "backlog": behind}


def item(value: Callable[[float], float | None], /, **labels: str) -> Item:
    """One series, scraped until after the watch."""
    return {"metric": {"job": "kafka-connect", **labels}, "values": points(value, end_s=WATCHED_S + 20)}


def growing(base: float, by: float, *, until_s: float = END_S) -> Callable[[float], float]:
    """A counter that grows evenly from the load's start to an instant."""
    return lambda at_s: base + by * min(max((at_s - START_S) / (until_s - START_S), 0.0), 1.0)


def during(value: float) -> Callable[[float], float]:
    """A gauge that looks back: NaN outside the load and the minute after."""
    return lambda at_s: value if START_S < at_s < END_S + 60 else float("nan")


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
        Role.NODE_NETWORK_TROUBLE: each(nodes, lambda _: 3.0, device="eth0"),
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
