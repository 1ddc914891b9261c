"""Synthetic run records and evidence: a healthy smoke test, to be spoilt one thing at a time.

    run = write_run(tmp_path, counts=replace(HEALTHY, arrived=99, lost=1))
    write_evidence(run, spoil(healthy_metrics(), Role.LATENCY_AVG, lambda at_s: math.nan))
    judge_run(run)

Times are seconds after T0, the run's start; the phases are those of phase1_smoke. Two workers, w1:9404 and w2:9404,
run a task each; each task carries one partition; every answer has the shape of Prometheus's HTTP API.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from checks.metric_profiles import CONFLUENT_MIRROR, Role
from run_record.closing import Closing, PartitionFacts, SideFacts, TopicFacts
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import (
    ClockCheck,
    ClusterSeen,
    Ending,
    EnvironmentSeen,
    Manifest,
    PhasePlayed,
    ScenarioText,
    TopicPlayed,
    Worker,
)
from run_record.store import SEAL, RunWriter, sums, write_json, write_text
from run_record.timeline import LatencySummary, TimelineRow
from scenarios.environment import Environment
from scenarios.scenario import parse_scenario
from scenarios.yaml_file import parse

T0_S = 1_800_000_000
T0_NS = T0_S * 1_000_000_000
SCRAPE_S = 5.0
TOPIC = "t.generated-data-01.json"
REMOTE = f"source.{TOPIC}"
SOURCE_CONNECTOR = "mm2-source-connector"
HEALTHY = Counts(sent=100, acked=100, arrived=100)
#: name, kind, start, end, records
PHASES: tuple[tuple[str, str, float, float, int], ...] = (
    ("canary", "canary", 0, 5, 0),
    ("silence", "silence", 5, 71, 0),
    ("smoke", "load", 71, 81, 100),
    ("drain", "drain", 81, 83, 0),
    ("watch", "watch", 83, 143, 0),
)
LOAD_START_S, LOAD_END_S, DRAINED_S, WATCHED_S = 71.0, 81.0, 83.0, 143.0
#: Until when the collector fetches: the watch's end, and a margin of four scrapes.
FETCHED_UNTIL_S = WATCHED_S + 20.0

ENVIRONMENT = """\
name: synthetic
source: {alias: source, bootstrap_servers: "s:9092", cluster_id: source-id}
target: {alias: target, bootstrap_servers: "t:9092", cluster_id: target-id}
connect:
  urls: [CONNECT]
  offset_flush_interval: 10s
  connectors: {source: mm2-source-connector, heartbeat: mm2-heartbeat}
prometheus: {url: PROMETHEUS, scrape_interval: 5s}
topics: {prefix: "t."}
ceilings: {records_per_s: 1000/s, bytes_per_s: 10MiB/s, total_bytes: 1GiB, duration: 1h}
"""


def healthy_closing(topics: Iterable[tuple[str, str, int]] = ((TOPIC, REMOTE, 2),), *, records: int = 50) -> Closing:
    """Each partition held nothing, and holds a canary and so many records; each mirror too, read to its end. `topics`:
    source, mirror, partitions."""

    def side(names: list[tuple[str, int]], **more: Any) -> SideFacts:
        return SideFacts(
            topics=tuple(
                TopicFacts(
                    topic=name,
                    partitions_start=count,
                    partitions_end=count,
                    ids=(f"id of {name}",),
                    retention_ms=7 * 24 * 3_600_000,
                    retention_bytes=-1,
                    cleanup_policy="delete",
                    untold={},
                )
                for name, count in names
            ),
            partitions=tuple(
                PartitionFacts(
                    topic=name,
                    partition=number,
                    low_start=0,
                    high_start=0,
                    low_end=0,
                    high_end=records + 1,
                    high_most=records + 1,
                    **more,
                )
                for name, count in names
                for number in range(count)
            ),
        )

    named = list(topics)
    return Closing(
        source=side([(source, count) for source, _, count in named], committed=records),
        target=side([(remote, count) for _, remote, count in named], position=records + 1),
        changes=(),
        restarts=(),
    )


HEALTHY_CLOSING = healthy_closing()


def environment_text(*, prometheus: str = "http://127.0.0.1:9", connect: str = "http://127.0.0.1:9") -> str:
    """An environment file; nothing listens on port 9."""
    return ENVIRONMENT.replace("PROMETHEUS", json.dumps(prometheus)).replace("CONNECT", json.dumps(connect))


def scenario_text(criteria: Iterable[str] | None = None) -> str:
    """phase1_smoke, or its phases with other criteria (YAML flow mappings)."""
    text = (resources.files("scenarios") / "library" / "phase1_smoke.yaml").read_text(encoding="utf-8")
    if criteria is None:
        return text
    return text[: text.index("criteria:")] + "criteria:\n" + "".join(f"  - {line}\n" for line in criteria)


def histogram(milliseconds: Iterable[float]) -> LatencyHistogram:
    """A histogram of these latencies."""
    latencies = LatencyHistogram()
    latencies.record_ns(np.rint(np.fromiter(milliseconds, np.float64) * 1e6).astype(np.int64))
    return latencies


def write_run(
    runs: Path,
    *,
    counts: Counts | None = HEALTHY,
    planned: int = 100,
    phases: Iterable[tuple[str, str, float, float | None, int]] = PHASES,
    ending: Ending | None = None,
    sealed: bool = True,
    rehearsal: str = "1",
    scenario: str | None = None,
    environment: str | None = None,
    e2e_ms: Iterable[float] | None = None,
    ack_ms: float = 6.0,
    send_delay_ms: Iterable[float] = (1.0,),
    clock_step_s: float = 0.0,
    last_errors: Iterable[str] = (),
    read_refused: Iterable[str] = (),
    lost_places: Iterable[str] = (),
    e2e_from_sent_ms: Iterable[float] | None = None,
    rekeyed: bool = False,
    unaccounted: Iterable[dict[str, Any]] = (),
    closing: Closing | None = HEALTHY_CLOSING,
    events: Iterable[dict[str, Any]] = (),
    failed: str = "",
    run_id: str = "20270115T080000Z-phase1_smoke",
) -> Path:
    """A run directory. `counts` None: killed before the ledger was written (and so never sealed), unless the load
    `failed` before it began: then the record is sealed without a ledger."""
    scenario, environment = scenario or scenario_text(), environment or environment_text()
    loaded = parse_scenario(scenario, file="phase1_smoke.yaml")
    seen = parse(environment, Environment, file="environment.yaml")
    played = [_phase(*phase) for phase in phases]
    finished = counts is not None or bool(failed)
    ended_ns = max(phase.end_ns or phase.start_ns for phase in played)
    manifest = Manifest(
        run_id=run_id,
        started_at_ns=T0_NS,
        scenario=ScenarioText(name=loaded.scenario.name, file="phase1_smoke.yaml", sha256=loaded.sha256, text=scenario),
        environment=EnvironmentSeen(
            name=seen.name,
            production=seen.production,
            file="environment.yaml",
            text=environment,
            source=ClusterSeen(alias="source", cluster_id="source-id", bootstrap_servers="s:9092"),
            target=ClusterSeen(alias="target", cluster_id="target-id", bootstrap_servers="t:9092"),
        ),
        rehearsal=rehearsal,
        planned_records=planned,
        record_bytes=1024,
        topics=(TopicPlayed(source=TOPIC, remote=REMOTE, partitions=2),),
        versions={"mm2gate": "0.1.0"},
        workers=(Worker(index=0, id="local", host="host", pid=1),),
        phases=tuple(played) if finished else (),
        clock=ClockCheck(
            wall_minus_monotonic_start_ns=0, wall_minus_monotonic_end_ns=0, largest_step_ns=int(clock_step_s * 1e9)
        ),
        ending=_ending(ending, failed, ended_ns) if finished else None,
    )
    writer = RunWriter.create(runs, run_id)
    for phase in played:
        writer.event(
            "phase_started",
            at_ns=phase.start_ns,
            phase=phase.name,
            kind=phase.kind,
            records=phase.records,
            planned_s=phase.planned_s,
        )
    for event in events:
        writer.event(**event)
    for row in _timeline(counts or HEALTHY, until_s=(ended_ns - T0_NS) / 1e9):
        writer.timeline(row)
    writer.manifest(manifest)
    if counts is not None:
        ledger = _ledger(counts, last_errors) | {"read_refused": [*read_refused], "lost_places": [*lost_places]}
        if rekeyed:
            ledger["streams"][0]["examples"] = {"corrupted": [3], "rekeyed": [3]}
        if closing is not None:
            ledger["closing"] = closing.to_json()
        writer.ledger({**ledger, "unaccounted": [*unaccounted]})
        e2e = histogram([20.0] * counts.arrived if e2e_ms is None else e2e_ms)
        delays = histogram(send_delay_ms)
        kinds = {"e2e": e2e, "send_delay": delays, "ack": histogram([ack_ms] * counts.acked)}
        if e2e_from_sent_ms is not None:
            kinds["e2e_from_sent"] = histogram(e2e_from_sent_ms)
        writer.latency({"smoke": kinds})
    writer.seal()
    if not finished or not sealed:
        (writer.directory / "record" / SEAL).unlink()
    return writer.directory


def _ending(ending: Ending | None, failed: str, at_ns: int) -> Ending:
    if failed:
        return Ending(how="failed", aborted=True, at_ns=at_ns, detail=failed)
    return ending or Ending(how="completed", aborted=False, at_ns=at_ns)


def _phase(name: str, kind: Any, start_s: float, end_s: float | None, records: int) -> PhasePlayed:
    return PhasePlayed(
        name=name,
        kind=kind,
        records=records,
        planned_s=10.0 if kind == "load" else None,
        start_ns=T0_NS + round(start_s * 1e9),
        end_ns=None if end_s is None else T0_NS + round(end_s * 1e9),
    )


def _timeline(counts: Counts, *, until_s: float) -> Iterable[TimelineRow]:
    nothing = LatencySummary(count=0)
    for second in range(1, int(until_s) + 1):
        share = min(max((second - LOAD_START_S) / (LOAD_END_S - LOAD_START_S), 0.0), 1.0)
        sent, acked, arrived = (int(share * count) for count in (counts.sent, counts.acked, counts.arrived))
        yield TimelineRow(
            at_ns=T0_NS + second * 1_000_000_000,
            phase="smoke",
            wanted_per_s=10.0,
            wanted=sent,
            sent=sent,
            acked=acked,
            failed=0,
            unknown=0,
            arrived=arrived,
            duplicated=0,
            backlog=acked - arrived,
            e2e=nothing,
            send_delay=nothing,
            wall_step_ns=0,
            workers=1,
        )


def _ledger(counts: Counts, last_errors: Iterable[str]) -> dict[str, Any]:
    content = counts.to_json()
    return {
        "totals": content,
        "canary": {"sent": 2, "acked": 2, "arrived": 2, "missing": []},
        "phases": {"smoke": content},
        "unattributed": Counts().to_json(),
        "streams": [{"topic": TOPIC, "partition": 0, "sender": 0, "counts": content, "examples": {}}],
        "last_errors": list(last_errors),
    }


# Evidence.

Item = dict[str, Any]
Metrics = dict[Role, list[Item]]


def points(
    value: Callable[[float], float | None],
    *,
    start_s: float = 40.0,
    end_s: float = FETCHED_UNTIL_S,
    every_s: float = SCRAPE_S,
    offset_s: float = 0.0,
) -> list[list[Any]]:
    """Scrapes as the API writes them: [time, "value"]; where `value` gives None there was no point."""
    count = int((end_s - start_s) / every_s) + 1
    instants = [start_s + number * every_s + offset_s for number in range(count)]
    pairs = [(at_s, value(at_s)) for at_s in instants if at_s <= end_s]
    return [[T0_S + at_s, _text(number)] for at_s, number in pairs if number is not None]


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)


def item(value: Callable[[float], float | None], /, **labels: str) -> Item:
    """One series of a matrix."""
    return {"metric": {"job": "kafka-connect", **labels}, "values": points(value)}


def growing(base: float, by: float) -> Callable[[float], float]:
    """A counter that grows during the load."""
    return lambda at_s: base + by * min(max((at_s - LOAD_START_S) / (LOAD_END_S - LOAD_START_S), 0.0), 1.0) // 1


def during_look_back(value: float) -> Callable[[float], float]:
    """A gauge that shows a number from the load's start until 60 s later, and NaN before and after."""
    return lambda at_s: value if LOAD_START_S < at_s < LOAD_START_S + 60 else math.nan


def always(value: float) -> Callable[[float], float]:
    """The same at every scrape."""
    return lambda _: value


def healthy_metrics() -> Metrics:
    """What Prometheus holds of a smoke test that went well."""
    tasks = [{"instance": f"w{n + 1}:9404", "connector": SOURCE_CONNECTOR, "task": str(n)} for n in range(2)]
    mirrors = [{"instance": f"w{n + 1}:9404", "topic": REMOTE, "partition": str(n)} for n in range(2)]
    workers = [{"instance": f"w{n + 1}:9404"} for n in range(2)]
    producers = [
        {"instance": f"w{n + 1}:9404", "client_id": f"connector-producer-{SOURCE_CONNECTOR}-{n}"} for n in range(2)
    ]
    nodes = [{"instance": f"w{n + 1}:9100", "job": "node-exporter"} for n in range(2)]
    return {
        Role.UP: [item(always(1.0), **labels) for labels in workers],
        Role.POLL_TOTAL: [item(growing(6.0, 50.0), **labels) for labels in tasks],
        Role.WRITE_TOTAL: [item(growing(6.0, 50.0), **labels) for labels in tasks],
        Role.ACTIVE_COUNT: [item(always(0.0), **labels) for labels in tasks],
        Role.OFFSET_COMMIT_MAX: [item(always(15.0), **labels) for labels in tasks],
        Role.FAILED_TASKS: [item(always(0.0), **labels, connector=SOURCE_CONNECTOR) for labels in workers],
        Role.OFFSET_COMMIT_FAILURE: [item(always(0.0), **labels) for labels in tasks],
        Role.TASK_ERRORS: [item(always(0.0), **labels) for labels in tasks],
        Role.TASK_FAILURES: [item(always(0.0), **labels) for labels in tasks],
        Role.TASK_SKIPPED: [item(always(0.0), **labels) for labels in tasks],
        Role.REBALANCES: [item(always(3.0), **labels) for labels in workers],
        Role.BUFFER_EXHAUSTED: [item(always(0.0), **labels) for labels in producers],
        Role.RECORD_AGE_AVG: [item(during_look_back(8.0 + 4 * n), **labels) for n, labels in enumerate(mirrors)],
        Role.RECORD_AGE_MAX: [item(during_look_back(20.0 + 10 * n), **labels) for n, labels in enumerate(mirrors)],
        Role.BUFFER_AVAILABLE: [item(always(30.0 * 2**20), **labels) for labels in producers],
        Role.BUFFER_TOTAL: [item(always(32.0 * 2**20), **labels) for labels in producers],
        Role.THROTTLE_MAX: [item(during_look_back(0.0), **labels) for labels in producers],
        Role.PROCESS_CPU: [item(lambda at_s: 10.0 + 0.2 * at_s, **labels) for labels in workers],
        Role.HEAP_USED: [item(always(200.0), **labels, area="heap") for labels in workers],
        Role.HEAP_MAX: [item(always(1000.0), **labels, area="heap") for labels in workers],
        Role.NODE_CPU_IDLE: [
            item(lambda at_s: 500.0 + 0.6 * at_s, **labels, cpu=cpu, mode="idle") for labels in nodes for cpu in "01"
        ],
        Role.NODE_MEMORY_AVAILABLE: [item(always(600.0), **labels) for labels in nodes],
        Role.NODE_MEMORY_TOTAL: [item(always(1000.0), **labels) for labels in nodes],
        Role.NODE_NETWORK_TROUBLE: [item(always(3.0), **labels, device="eth0") for labels in nodes],
        Role.BYTE_COUNT: [item(growing(1024.0, 51_200.0), **labels) for labels in mirrors],
        Role.RECORD_COUNT: [item(growing(1.0, 50.0), **labels) for labels in mirrors],
        Role.LATENCY_AVG: [item(during_look_back(20.0 + 10 * n), **labels) for n, labels in enumerate(mirrors)],
        Role.LATENCY_MAX: [item(during_look_back(40.0 + 20 * n), **labels) for n, labels in enumerate(mirrors)],
    }


def spoil(metrics: Metrics, role: Role, value: Callable[[float], float | None], *, which: int | None = None) -> Metrics:
    """The metrics with other values in a role: in all of its series, or in one."""
    spoilt = [
        {**one, "values": points(value)} if which is None or number == which else one
        for number, one in enumerate(metrics[role])
    ]
    return {**metrics, role: spoilt}


def healthy_connectors() -> dict[str, Any]:
    """What GET /connectors?expand=status&expand=info answers when all is well."""
    return {name: connector(name) for name in (SOURCE_CONNECTOR, "mm2-heartbeat")}


def connector(
    name: str, state: str = "RUNNING", tasks: Iterable[str] = ("RUNNING", "RUNNING"), trace: str = "", **config: str
) -> dict[str, Any]:
    """One connector of that answer. Keys of `config` are written with _ for a dot."""
    told = {"trace": trace} if trace else {}
    return {
        "status": {
            "name": name,
            "connector": {"state": state, "worker_id": "w1:8083", **(told if state == "FAILED" else {})},
            "tasks": [
                {"id": number, "state": one, "worker_id": "w1:8083", **(told if one == "FAILED" else {})}
                for number, one in enumerate(tasks)
            ],
            "type": "source",
        },
        "info": {
            "name": name,
            "config": {"topics": "t[.].*", "name": name, **{key.replace("_", "."): v for key, v in config.items()}},
            "tasks": [],
        },
    }


def write_evidence(
    run: Path,
    metrics: Mapping[Role, list[Item]] | None = None,
    *,
    errors: Mapping[Role, str] | None = None,
    bodies: Mapping[Role, str] | None = None,
    warnings: Mapping[Role, list[str]] | None = None,
    connectors: Mapping[str, Any] | None = None,
    connect_error: str | None = None,
    workers: list[dict[str, str]] | None = None,
) -> Path:
    """A sealed evidence directory, of healthy metrics and connectors unless told otherwise.

    `errors`: Prometheus failed on these roles. `bodies`: it answered this text. `warnings`: it added these.
    """
    metrics = healthy_metrics() if metrics is None else metrics
    errors, bodies, warnings = errors or {}, bodies or {}, warnings or {}
    directory = run / "evidence" / f"{len(list(run.glob('evidence/*'))) + 1:03d}"
    directory.mkdir(parents=True)
    environment = parse(environment_text(), Environment, file="environment.yaml")
    entries: list[dict[str, Any]] = _write_connect(directory, connectors, connect_error, workers)
    for role in (Role.UP, *CONFLUENT_MIRROR.metrics):
        selector = CONFLUENT_MIRROR.selector(role, environment)
        entry = {"kind": "metric", "role": role.value, "query": selector, "error": errors.get(role)}
        if role not in errors:
            span_s = FETCHED_UNTIL_S - (LOAD_START_S - 20)
            answer = matrix(metrics.get(role, []), warnings.get(role, []))
            name = f"metric-{role}-001.json"
            write_text(directory / name, bodies.get(role, json.dumps(answer)))
            entry |= {
                "file": name,
                "query": f"{selector}[{round(span_s * 1000)}ms]",
                "at_s": T0_S + FETCHED_UNTIL_S,
                "span_s": span_s,
                "status": 200,
                "result_type": "matrix",
                "series": len(metrics.get(role, [])),
                "warnings": warnings.get(role, []),
                "infos": [],
            }
        entries.append(entry)
    head = {
        "schema": 1,
        "collected_at_ns": T0_NS + 200_000_000_000,
        "profile": CONFLUENT_MIRROR.name,
        "prometheus_url": "http://127.0.0.1:9",
        "connect_urls": ["http://127.0.0.1:9"],
        "windows": None,
    }
    write_json(directory / "index.json", {**head, "answers": entries})
    write_text(directory / SEAL, sums(directory))
    return directory


def matrix(items: list[Item], warnings: list[str]) -> dict[str, Any]:
    """The body of an answer to a range selector."""
    answer: dict[str, Any] = {"status": "success", "data": {"resultType": "matrix", "result": items}}
    return {**answer, "warnings": warnings} if warnings else answer


def _write_connect(
    directory: Path, connectors: Mapping[str, Any] | None, error: str | None, workers: list[dict[str, str]] | None
) -> list[dict[str, Any]]:
    if error is not None:
        return [{"kind": "connect", "name": "connectors", "error": error}]
    answers = {
        "workers": workers or [{"url": "http://w1:8083", "version": "4.3.1", "kafka_cluster_id": "target-id"}],
        "connectors": healthy_connectors() if connectors is None else connectors,
        "offsets": {"offsets": []},
        "topics": [REMOTE],
    }
    entries = []
    for name, content in answers.items():
        write_json(directory / f"connect-{name}.json", content)
        entries.append({"kind": "connect", "name": name, "error": None, "file": f"connect-{name}.json"})
    return entries
