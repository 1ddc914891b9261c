"""A run of 24 hours as large as they get, healthy: what judging one costs is measured on it.

    directory = write_day(tmp_path)

A timeline row each second (with histograms each 10 s, each 60 s after the first hour), ten topics of twelve partitions,
two workers with two tasks each, scraped every 15 s: some four million points in answers of an hour each.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from checks.metric_profiles import CONFLUENT_MIRROR, Job, Role
from checks.role_facts import Owner, facts_of
from checks.windows import Windows
from run_record.counts import Counts
from run_record.store import SEAL, RunRecord, sums, write_json, write_text
from scenarios.scenario import load
from tests.support.records import (
    SOURCE_CONNECTOR,
    T0_S,
    environment_of_text,
    environment_text,
    healthy_closing,
    healthy_connectors,
    index_of,
    write_run,
)

DAY_S = 24 * 3600
RATE = 1000
RECORDS = DAY_S * RATE
START_S = 71.0
END_S = START_S + DAY_S
DRAINED_S, WATCHED_S = END_S + 2, END_S + 62
SCRAPE_S = 15.0
PIECE_S = 3600.0
TOPICS = [f"t.generated-data-{number:02d}.json" for number in range(1, 11)]
PARTITIONS = 12
WORKERS = ("w1", "w2")


def scenario_text() -> str:
    """The nominal load's criteria over a day."""
    text = load("phase2_nominal").text.replace("duration: 30min", f"duration: {DAY_S}s")
    return text.replace("15min, 30min", "15min, 1440min")


def write_day(runs: Path) -> Path:
    """The run directory, record and evidence sealed."""
    environment = environment_text().replace("scrape_interval: 5s", f"scrape_interval: {SCRAPE_S:g}s")
    phases = (
        ("canary", "canary", 0, 5, 0),
        ("silence", "silence", 5, START_S, 0),
        ("nominal", "load", START_S, END_S, RECORDS),
        ("drain", "drain", END_S, DRAINED_S, 0),
        ("watch", "watch", DRAINED_S, WATCHED_S, 0),
    )
    noise = np.random.default_rng(1).integers(0, 60, int(WATCHED_S) + 1)
    directory = write_run(
        runs,
        counts=Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS),
        phases=phases,
        scenario=scenario_text(),
        environment=environment,
        partitions=PARTITIONS,
        e2e_ms=np.random.default_rng(2).lognormal(3.0, 0.4, 10_000),
        backlog=lambda at_s: float(noise[int(at_s)]) if START_S < at_s <= END_S else 0.0,
        keep_histograms=True,
        run_id="20270115T080000Z-day",
        closing=healthy_closing([(topic, f"source.{topic}", PARTITIONS) for topic in TOPICS]),
    )
    _write_evidence(directory)
    return directory


# Evidence.


def _series_of(role: Role) -> list[dict[str, str]]:
    """Labels of a role's series."""
    tasks = [
        {"instance": f"{WORKERS[number % 2]}:9404", "connector": SOURCE_CONNECTOR, "task": str(number)}
        for number in range(4)
    ]
    metric = CONFLUENT_MIRROR.metrics.get(role)
    workers = [{"instance": f"{worker}:9404"} for worker in WORKERS]
    if metric is None:
        return workers
    if facts_of(role).owner is Owner.TASKED_WORKER:
        return [{**one, "connector": SOURCE_CONNECTOR} for one in workers]
    if metric.job is Job.NODES:
        nodes = [{"instance": f"{worker}:9100", "job": "node-exporter"} for worker in WORKERS]
        if role is Role.NODE_NETWORK_TROUBLE:
            return [{**one, "__name__": name} for one in nodes for name in sorted(metric.names)]
        return [{**one, "cpu": cpu} for one in nodes for cpu in "01234567"] if role is Role.NODE_CPU_IDLE else nodes
    return {
        "prefix": [
            {"instance": f"{WORKERS[p % 2]}:9404", "topic": f"source.{topic}", "partition": str(p)}
            for topic in TOPICS
            for p in range(PARTITIONS)
        ],
        "connector": tasks,
        "producer": [
            {"instance": one["instance"], "client_id": f"connector-producer-{SOURCE_CONNECTOR}-{one['task']}"}
            for one in tasks
        ],
        "none": workers,
    }[metric.filter.value]


_PER_PARTITION = RECORDS / len(TOPICS) / PARTITIONS
_GROWING = {
    Role.POLL_TOTAL: RECORDS / 4,
    Role.WRITE_TOTAL: RECORDS / 4,
    Role.RECORD_COUNT: _PER_PARTITION,
    Role.BYTE_COUNT: _PER_PARTITION * 1024,
}
_STEADY = {
    Role.UP: 1.0,
    Role.ACTIVE_COUNT: 20.0,
    Role.OFFSET_COMMIT_MAX: 15.0,
    Role.RUNNING_TASKS: 2.0,
    Role.TOTAL_TASKS: 2.0,
    Role.BUFFER_AVAILABLE: 31.0,
    Role.BUFFER_TOTAL: 32.0,
    Role.LATENCY_AVG: 20.25,
    Role.LATENCY_MAX: 61.5,
    Role.RECORD_AGE_AVG: 9.125,
    Role.RECORD_AGE_MAX: 31.0,
    Role.HEAP_USED: 2.0e8,
    Role.HEAP_MAX: 1.0e9,
    Role.NODE_MEMORY_AVAILABLE: 6.0e9,
    Role.NODE_MEMORY_TOTAL: 1.0e10,
}


def _values(role: Role, times_s: np.ndarray) -> list[str]:
    if role in _GROWING:
        share = np.clip((times_s - START_S) / DAY_S, 0.0, 1.0)
        return [f"{value:.0f}" for value in 60 + _GROWING[role] * share]
    if role is Role.PROCESS_CPU:
        return [f"{value:.2f}" for value in 10 + 0.2 * times_s]
    if role is Role.NODE_CPU_IDLE:
        return [f"{value:.2f}" for value in 10 + 0.7 * times_s]
    return [f"{_STEADY.get(role, 0.0):g}"] * len(times_s)


def _write_evidence(directory: Path) -> None:
    record = RunRecord.open(directory)
    environment = environment_of_text(record.manifest.environment.text).environment
    evidence = directory / "evidence" / "001"
    evidence.mkdir(parents=True)
    start_s, end_s = START_S - 4 * SCRAPE_S, WATCHED_S + 4 * SCRAPE_S
    count = math.ceil((end_s - start_s) / PIECE_S)
    span_s = (end_s - start_s) / count
    answers: list[dict[str, Any]] = []
    for role in (Role.UP, *CONFLUENT_MIRROR.metrics):
        selector = CONFLUENT_MIRROR.selector(role, environment)
        series = [{"job": "kafka-connect", **labels} for labels in _series_of(role)]
        for number in range(1, count + 1):
            at_s = start_s + number * span_s
            times_s = np.arange(math.ceil((at_s - span_s) / SCRAPE_S) * SCRAPE_S, at_s, SCRAPE_S)
            pairs = zip(times_s, _values(role, times_s), strict=True)
            values = ",".join(f'[{T0_S + time_s:.3f},"{value}"]' for time_s, value in pairs)
            items = ",".join(f'{{"metric":{json.dumps(labels)},"values":[{values}]}}' for labels in series)
            name = f"metric-{role}-{number:03d}.json"
            body = f'{{"status":"success","data":{{"resultType":"matrix","result":[{items}]}}}}'
            (evidence / name).write_text(body, encoding="utf-8")
            answers.append(
                {
                    "kind": "metric",
                    "role": role.value,
                    "query": f"{selector}[{round(span_s * 1000)}ms]",
                    "error": None,
                    "file": name,
                    "at_s": T0_S + at_s,
                    "span_s": span_s,
                    "status": 200,
                    "result_type": "matrix",
                    "series": len(series),
                    "warnings": [],
                    "infos": [],
                }
            )
    workers = [{"url": "http://w1:8083", "version": "4.3.1", "kafka_cluster_id": "target-id"}]
    for name, content in (("workers", workers), ("connectors", healthy_connectors())):
        write_json(evidence / f"connect-{name}.json", content)
        answers.append({"kind": "connect", "name": name, "error": None, "file": f"connect-{name}.json"})
    index = index_of(record, environment, Windows.of(record, environment), answers)
    write_json(evidence / "index.json", index)
    write_text(evidence / SEAL, sums(evidence))
