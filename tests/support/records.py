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
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, wraps
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checks.metric_profiles import CONFLUENT_MIRROR, Role
from checks.windows import Windows, last_known_ns
from run_record.closing import Closing, PartitionFacts, SideFacts, TopicFacts
from run_record.counts import Counts, total
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
from run_record.store import SEAL, RunRecord, RunWriter, sums, write_json, write_text
from run_record.timeline import LatencySummary, TimelineRow
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.plan import RunPlan, make_plan, parse_rehearsal
from scenarios.scenario import parse_scenario
from scenarios.yaml_file import parse

T0_S = 1_800_000_000
T0_NS = T0_S * 1_000_000_000
SCRAPE_S = 5.0
TOPIC = "t.generated-data-01.json"
REMOTE = f"source.{TOPIC}"
SOURCE_CONNECTOR = "mm2-source-connector"
#: Metrics of a node's network devices that go by one role.
NETWORK_NAMES = CONFLUENT_MIRROR.metrics[Role.NODE_NETWORK_TROUBLE].names
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
ceilings: {records_per_s: 50_000/s, bytes_per_s: 100MiB/s, total_bytes: 1000GiB, duration: 48h}
"""


#: Records of a partition of the smoke test.
EACH = 50


def healthy_closing(topics: Iterable[tuple[str, str, int]] = ((TOPIC, REMOTE, 2),), *, records: int = EACH) -> Closing:
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


def with_room(closing: Closing, streams: Iterable[Mapping[str, Any]]) -> Closing:
    """The closing facts with ends that leave room for what was counted, wherever nobody has chosen others."""
    need: Counter[int] = Counter()
    for stream in streams:
        counts = stream["counts"]
        need[stream["partition"]] = max(need[stream["partition"]], counts["acked"] + counts["duplicated"])

    def side(facts: SideFacts) -> SideFacts:
        return facts.model_copy(update={"partitions": tuple(map(roomy, facts.partitions))})

    def roomy(one: PartitionFacts) -> PartitionFacts:
        end, least = one.high_end, need[one.partition] + 1
        pristine = one.low_end == one.low_start == one.high_start == 0 and end == one.high_most == EACH + 1
        if not pristine or end >= least or one.position not in (None, end):
            return one
        position = {} if one.position is None else {"position": least}
        return one.model_copy(update={"high_end": least, "high_most": least, **position})

    return closing.model_copy(update={"source": side(closing.source), "target": side(closing.target)})


def environment_text(*, prometheus: str = "http://127.0.0.1:9", connect: str = "http://127.0.0.1:9") -> str:
    """An environment file; nothing listens on port 9."""
    return ENVIRONMENT.replace("PROMETHEUS", json.dumps(prometheus)).replace("CONNECT", json.dumps(connect))


def scenario_text(criteria: Iterable[str] | None = None, *, name: str = "phase1_smoke") -> str:
    """A scenario of the library, or its phases with other criteria (YAML flow mappings)."""
    text = (resources.files("scenarios") / "library" / f"{name}.yaml").read_text(encoding="utf-8")
    if criteria is None:
        return text
    return text[: text.index("criteria:")] + "criteria:\n" + "".join(f"  - {line}\n" for line in criteria)


def _lasting(scenario: str, factor: Fraction) -> str:
    """The scenario whose load, rehearsed, lasts ten seconds."""
    return scenario.replace("duration: 10s", f"duration: {10 / factor}s")


def with_partitions(scenario: str, partitions: int) -> str:
    """The scenario with so many partitions of each topic."""
    return re.sub(r"(?m)^(topics: .*partitions: )\d+", rf"\g<1>{partitions}", scenario)


def nanoseconds(milliseconds: Iterable[float]) -> NDArray[np.int64]:
    return np.rint(np.fromiter(milliseconds, np.float64) * 1e6).astype(np.int64)


def histogram(milliseconds: Iterable[float]) -> LatencyHistogram:
    """A histogram of these latencies."""
    return histogram_of(nanoseconds(milliseconds))


def histogram_of(durations_ns: NDArray[np.int64], count: int | None = None) -> LatencyHistogram:
    """A histogram of these durations, or of the first `count` of them, over and over again. Not to be changed: most
    records have the same, so each is made once."""
    return _histogram_of(durations_ns.tobytes(), count)


@lru_cache(maxsize=512)
def _histogram_of(content: bytes, count: int | None) -> LatencyHistogram:
    durations_ns = np.frombuffer(content, dtype=np.int64)
    latencies, size = LatencyHistogram(), len(durations_ns)
    whole, rest = divmod(size if count is None else count, size)
    latencies.record_ns(durations_ns[:rest])
    doubled = LatencyHistogram()
    doubled.record_ns(durations_ns)
    while whole:
        if whole % 2:
            latencies.merge(doubled)
        twice = LatencyHistogram()
        twice.merge(doubled)
        twice.merge(doubled)
        doubled, whole = twice, whole // 2
    return latencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One load phase: what became of its records, and how long they took, over and over again (ns)."""

    counts: Counts
    start_s: float
    end_s: float
    planned: int
    e2e_ns: NDArray[np.int64]
    send_delay_ns: NDArray[np.int64]
    ack_ns: NDArray[np.int64]
    e2e_at: Callable[[float], float] | None = None
    """In the place of `e2e_ns`: ms of what arrives at an instant."""
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    """(ns, how many) since the timeline kept a histogram, and before that."""
    known: dict[Any, Any] = field(default_factory=dict)
    """What was worked out already: a day asks for the same again and again."""

    @property
    def seen(self) -> int:
        """First arrivals that tell when they were due."""
        return self.counts.arrived + self.counts.phantom + self.counts.unknown_arrived

    def share(self, at_s: float) -> float:
        return min(max((at_s - self.start_s) / (self.end_s - self.start_s), 0.0), 1.0) if at_s > self.start_s else 0.0

    def _values(self, kind: str) -> NDArray[np.int64]:
        return self.e2e_ns if kind == "e2e" else self.send_delay_ns

    def figures(self, kind: str) -> tuple[float, float, float]:
        """Median, 99th percentile and largest, in ms."""
        if kind not in self.known:
            values = self._values(kind)
            several = min(len(values), self.seen if kind == "e2e" else self.counts.sent)
            seen = histogram_of(values, several)
            self.known[kind] = (seen.percentile_ms(50), seen.percentile_ms(99), seen.max_ms)
        return self.known[kind]

    def kept(self, kind: str, count: int) -> dict[str, Any]:
        """A histogram of so many, as the timeline keeps it."""
        if kind == "e2e" and self.e2e_at is not None:
            return self.arrived(count).to_json()
        if (kind, count) not in self.known:
            self.known[kind, count] = histogram_of(self._values(kind), count).to_json()
        return self.known[kind, count]

    def arrive(self, at_s: float, count: int) -> LatencySummary:
        """So many arrive, and take as long as they do at this instant."""
        if self.e2e_at is None or not count:
            return self.summary("e2e", count)
        taken_ns = round(self.e2e_at(at_s) * 1e6)
        self.arrivals.append((taken_ns, count))
        taken = histogram_of(np.array([taken_ns]), count)
        p99_ms = taken.percentile_ms(99) if count >= 100 else None
        return LatencySummary(count=count, p50_ms=taken.percentile_ms(50), p99_ms=p99_ms, max_ms=taken.max_ms)

    def summary(self, kind: str, count: int) -> LatencySummary:
        """Every second has the latencies of its load, if it has any."""
        if not count:
            return LatencySummary(count=0)
        p50_ms, p99_ms, max_ms = self.figures(kind)
        return LatencySummary(count=count, p50_ms=p50_ms, p99_ms=p99_ms if count >= 100 else None, max_ms=max_ms)

    def arrived(self, latest: int | None = None, *, less_ns: int = 0) -> LatencyHistogram:
        """What took how long, of all or of the latest ones."""
        found, left = LatencyHistogram(), self.seen if latest is None else latest
        for taken_ns, count in reversed(self.arrivals):
            found.merge(histogram_of(np.array([taken_ns - less_ns]), min(count, left)))
            left -= min(count, left)
            if not left:
                break
        return found

    def histograms(self) -> dict[str, LatencyHistogram]:
        """Those of latency.json; a kind without values is missing."""
        if self.e2e_at is not None:
            delay_ns = int(self.send_delay_ns[0])
            return {
                "e2e": self.arrived(),
                "e2e_from_sent": self.arrived(less_ns=delay_ns),
                "send_delay": histogram_of(self.send_delay_ns, self.counts.sent),
                "ack": histogram_of(self.ack_ns, self.counts.acked),
            }
        kinds = {
            "e2e": (self.e2e_ns, self.seen),
            "e2e_from_sent": (self.e2e_ns - self.send_delay_ns, self.seen),
            "send_delay": (self.send_delay_ns, self.counts.sent),
            "ack": (self.ack_ns, self.counts.acked),
        }
        return {kind: histogram_of(values, count) for kind, (values, count) in kinds.items() if count}


def durations(
    e2e_ms: Iterable[float] | None, send_delay_ms: Iterable[float] | None, e2e_from_sent_ms: Iterable[float] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From due to arrived, and from due to sent, of the same records; 20 ms and 1 ms unless told otherwise."""
    sent = None if e2e_from_sent_ms is None else nanoseconds(e2e_from_sent_ms)
    delay = nanoseconds([1.0] if send_delay_ms is None else send_delay_ms)
    if sent is None:
        return _together(delay + 19_000_000 if e2e_ms is None else nanoseconds(e2e_ms), delay)
    e2e, sent = _together(nanoseconds([20.0] if e2e_ms is None else e2e_ms), sent)
    return e2e, e2e - sent


def _together(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = math.lcm(len(one), len(other))
    return np.resize(one, size), np.resize(other, size)


def write_run(
    runs: Path,
    *,
    counts: Counts | Mapping[str, Counts] | None = HEALTHY,
    phases: Iterable[tuple[str, str, float, float | None, int]] = PHASES,
    ending: Ending | None = None,
    sealed: bool = True,
    rehearsal: str = "1",
    scenario: str | None = None,
    environment: str | None = None,
    partitions: int = 2,
    e2e_ms: Iterable[float] | Mapping[str, Iterable[float]] | Callable[[float], float] | None = None,
    ack_ms: float | Mapping[str, float] = 6.0,
    send_delay_ms: Iterable[float] | None = None,
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
    backlog: Callable[[float], float] = lambda _: 0.0,
    keep_histograms: bool = False,
    judged: Mapping[str, str] = MappingProxyType({}),
    anomalies_from: float = 0.0,
    run_id: str = "20270115T080000Z-phase1_smoke",
) -> Path:
    """A run directory that contradicts itself in nothing. `counts`, of all loads or of each, None: killed before the
    ledger was written (and so never sealed), unless the load `failed` before it began: then the record is sealed
    without a ledger. `e2e_ms`: of the records, over and over again; of each load's; or of those that arrive at an
    instant. `backlog`: what had not arrived at an instant, of what had been acknowledged by then. `judged`: what a
    staircase's steps came to while it was climbed. `anomalies_from`: the share of each stream before its first one."""
    environment = environment or environment_text()
    factor = parse_rehearsal(rehearsal)
    text = with_partitions(_lasting(scenario or scenario_text(), factor), partitions)
    loaded = parse_scenario(text, file="phase1_smoke.yaml")
    seen = environment_of_text(environment)
    plan = make_plan(loaded, seen, rehearsal=factor)
    played = [_phase(plan, *phase) for phase in phases]
    lost = list(unaccounted)
    finished = counts is not None or bool(failed)
    ended_ns = max(phase.end_ns or phase.start_ns for phase in played)
    loads = _loads(
        played,
        counts,
        ended_ns,
        e2e_ms=e2e_ms,
        ack_ms=ack_ms,
        send_delay_ms=send_delay_ms,
        e2e_from_sent_ms=e2e_from_sent_ms,
    )
    clusters = {
        side: ClusterSeen(alias=one.alias, cluster_id=one.cluster_id, bootstrap_servers=one.bootstrap_servers)
        for side, one in (("source", seen.environment.source), ("target", seen.environment.target))
    }
    step_ns = int(clock_step_s * 1e9)
    manifest = Manifest(
        run_id=run_id,
        started_at_ns=T0_NS,
        scenario=ScenarioText(
            name=loaded.scenario.name, file="phase1_smoke.yaml", sha256=loaded.sha256, text=loaded.text
        ),
        environment=EnvironmentSeen(
            name=seen.environment.name,
            production=seen.environment.production,
            file="environment.yaml",
            text=environment,
            **clusters,
        ),
        rehearsal=rehearsal,
        planned_records=_planned(plan, played),
        record_bytes=plan.scenario.payload.bytes,
        topics=tuple(TopicPlayed(source=t.source, remote=t.remote, partitions=t.partitions) for t in plan.topics),
        versions={"mm2gate": "0.1.0"},
        workers=tuple(
            Worker(index=number, id=name, host="host", pid=number + 1)
            for number, name in enumerate(["local", *(one["worker"] for one in lost)])
        ),
        phases=tuple(played) if finished else (),
        clock=ClockCheck(wall_minus_monotonic_start_ns=0, wall_minus_monotonic_end_ns=0, largest_step_ns=step_ns),
        ending=_ending(ending, failed, ended_ns) if finished else None,
    )
    writer = RunWriter.create(runs, run_id)
    own = [f"{t.source}:{n}" for t in plan.topics for n in range(t.partitions)]
    owned = {place for one in lost for place in one["owned"]}
    own = [place for place in own if place not in owned]
    writer.event("run_started", at_ns=T0_NS, run_id=run_id)
    for phase in played:
        details = phase.model_dump(include={"kind", "records", "planned_s"})
        writer.event("phase_started", at_ns=phase.start_ns, phase=phase.name, **details)
        if phase.kind == "canary" and phase.end_ns is not None:
            writer.event("canary", at_ns=phase.end_ns, sent=len(own), arrived=len(own))
        step = phase.name.removesuffix("_rest")
        if phase.kind == "rest" and phase.end_ns is not None and step in judged:
            writer.event("step_judged", at_ns=phase.end_ns, phase=step, verdict=judged[step], judged=True)
    for one in lost:
        writer.event("worker_lost", at_ns=ended_ns, worker=one["worker"], owned=one["owned"])
    for event in events:
        writer.event(**event)
    if manifest.ending is not None and manifest.ending.cut is not None:
        cut = manifest.ending.cut
        writer.event("load_cut_short", at_ns=cut.at_ns, **cut.model_dump(exclude={"at_ns", "due_records"}))
    if manifest.ending is not None:
        writer.event("run_ended", at_ns=manifest.ending.at_ns, how=manifest.ending.how, detail=manifest.ending.detail)
    rows = _rows(plan, played, loads, until_s=(ended_ns - T0_NS) / 1e9, backlog=backlog, keep=keep_histograms)
    for row in rows:
        writer.timeline(row)
    writer.manifest(manifest)
    if counts is not None:
        ledger = _ledger(plan, loads, own, rekeyed=rekeyed, anomalies_from=anomalies_from)
        ledger |= {"read_refused": [*read_refused], "lost_places": [*lost_places], "last_errors": [*last_errors]}
        if closing is not None:
            ledger["closing"] = with_room(closing, ledger["streams"]).to_json()
        writer.ledger({**ledger, "unaccounted": lost})
        latency = {load.name: {} for load in plan.loads}  # type: dict[str, dict[str, LatencyHistogram]]
        writer.latency(latency | {name: one.histograms() for name, one in loads.items()})
    writer.seal()
    if not finished or not sealed:
        (writer.directory / "record" / SEAL).unlink()
    return writer.directory


def environment_of_text(text: str) -> LoadedEnvironment:
    """The environment of a file's text."""
    environment = parse(text, Environment, file="environment.yaml")
    return LoadedEnvironment.model_construct(file=Path("environment.yaml"), text=text, environment=environment)


def stopped(how: Any = "sigint", *, at_s: float = WATCHED_S) -> Ending:
    """The ending of a run that somebody ended."""
    return Ending(how=how, aborted=True, at_ns=T0_NS + round(at_s * 1e9))


def _ending(ending: Ending | None, failed: str, at_ns: int) -> Ending:
    if failed:
        return Ending(how="failed", aborted=True, at_ns=at_ns, detail=failed)
    return ending or Ending(how="completed", aborted=False, at_ns=at_ns)


def _phase(plan: RunPlan, name: str, kind: Any, start_s: float, end_s: float | None, records: int) -> PhasePlayed:
    planned_s = {
        "canary": plan.canary_patience_s,
        "silence": plan.scenario.silence_s,
        "rest": plan.rest_s,
        "drain": plan.scenario.drain.cap,
        "watch": plan.scenario.watch_s,
        **{load.name: load.profile.duration_s for load in plan.loads},
    }
    return PhasePlayed(
        name=name,
        kind=kind,
        records=records,
        planned_s=planned_s.get(name if kind == "load" else kind),
        start_ns=T0_NS + round(start_s * 1e9),
        end_ns=None if end_s is None else T0_NS + round(end_s * 1e9),
    )


def _planned(plan: RunPlan, played: Sequence[PhasePlayed]) -> int:
    loads = [phase.records for phase in played if phase.kind == "load"]
    return sum(loads) if plan.ladder and loads else plan.record_count


def _loads(
    played: Sequence[PhasePlayed],
    counts: Counts | Mapping[str, Counts] | None,
    ended_ns: int,
    *,
    e2e_ms: Any,
    ack_ms: Any,
    send_delay_ms: Iterable[float] | None,
    e2e_from_sent_ms: Iterable[float] | None,
) -> dict[str, Played]:
    """The load phases that were played; counts of all of them are the first one's."""
    found: dict[str, Played] = {}
    killed = counts is None
    counts = HEALTHY if counts is None else counts
    delays = None if send_delay_ms is None else list(send_delay_ms)
    for phase in played:
        if phase.kind != "load":
            continue
        of_all = counts if not found and isinstance(counts, Counts) else Counts()
        own = of_all if isinstance(counts, Counts) else counts[phase.name]
        e2e = e2e_ms.get(phase.name) if isinstance(e2e_ms, Mapping) else e2e_ms
        e2e_ns, delay_ns = durations(None if callable(e2e) else e2e, delays, e2e_from_sent_ms)
        ack = ack_ms.get(phase.name, 6.0) if isinstance(ack_ms, Mapping) else ack_ms
        found[phase.name] = Played(
            counts=own,
            start_s=(phase.start_ns - T0_NS) / 1e9,
            end_s=(_end_ns(phase, ended_ns, whole=not killed) - T0_NS) / 1e9,
            planned=phase.records,
            e2e_ns=e2e_ns,
            send_delay_ns=delay_ns,
            ack_ns=nanoseconds([ack]),
            e2e_at=e2e if callable(e2e) else None,
        )
    return found


def _end_ns(phase: PhasePlayed, ended_ns: int, *, whole: bool) -> int:
    """When all that was to be sent in it would be: of a run that was killed it never was."""
    if whole or phase.planned_s is None:
        return phase.end_ns or ended_ns
    return phase.start_ns + round(phase.planned_s * 1e9)


def _rows(
    plan: RunPlan,
    played: Sequence[PhasePlayed],
    loads: Mapping[str, Played],
    *,
    until_s: float,
    backlog: Callable[[float], float],
    keep: bool,
) -> Iterable[TimelineRow]:
    """A row a second. What has arrived by then, and what was sent, has the latencies of the load that goes on."""
    profiles = {load.name: load.profile for load in plan.loads}
    before = dict.fromkeys(("sent", "arrived", "seen"), 0)
    kept = dict.fromkeys(("e2e", "send_delay"), 0)
    for second in range(1, int(until_s) + 1):
        shares = [(load, load.share(second)) for load in loads.values()]
        sums = {
            name: sum(int(share * getattr(load.counts, name)) for load, share in shares)
            for name in ("sent", "acked", "failed", "unknown", "duplicated", "phantom", "unknown_arrived")
        }
        # What never arrives is what was sent last.
        arrived = sum(min(int(share * load.counts.acked), load.counts.arrived) for load, share in shares)
        arrived = max(min(arrived, sums["acked"] - int(backlog(second))), before["arrived"])
        seen = arrived + sums["phantom"] + sums["unknown_arrived"]
        current = [load for load in loads.values() if load.start_s < second][-1:]
        fresh = {"e2e": seen - before["seen"], "send_delay": sums["sent"] - before["sent"]}
        kept = {kind: kept[kind] + count for kind, count in fresh.items()}
        name = next((one.name for one in reversed(played) if one.start_ns <= T0_NS + second * 10**9), "prepare")
        profile = profiles.get(name)
        in_load_s = second - loads[name].start_s if name in loads else 0.0
        wanted = sum(
            min(round(profiles[name].records_by(max(second - load.start_s, 0.0))), load.planned)
            for name, load in loads.items()
            if name in profiles
        )
        of_row = current[0] if current else None
        e2e = of_row.arrive(second, fresh["e2e"]) if of_row else LatencySummary(count=0)
        histograms = None
        if keep and of_row and second % (10 if second <= 3600 else 60) == 0 and any(kept.values()):
            histograms = {kind: of_row.kept(kind, count) for kind, count in kept.items() if count}
            kept = dict.fromkeys(kept, 0)
        yield TimelineRow(
            at_ns=T0_NS + second * 1_000_000_000,
            phase=name,
            wanted_per_s=0.0 if profile is None else profile.records_per_s(in_load_s),
            wanted=wanted,
            due=wanted,
            sent=sums["sent"],
            acked=sums["acked"],
            failed=sums["failed"],
            unknown=sums["unknown"],
            arrived=arrived,
            duplicated=sums["duplicated"],
            backlog=sums["acked"] - arrived,
            e2e=e2e,
            send_delay=of_row.summary("send_delay", fresh["send_delay"]) if of_row else LatencySummary(count=0),
            wall_step_ns=0,
            workers=1,
            histograms=histograms,
        )
        before = {"sent": sums["sent"], "arrived": arrived, "seen": seen}


def _ledger(
    plan: RunPlan, loads: Mapping[str, Played], own: Sequence[str], *, rekeyed: bool, anomalies_from: float
) -> dict[str, Any]:
    """Every partition has its share of the records, the first ones what cannot be shared evenly. What arrived without
    saying whose it is belongs to no phase."""
    strays = total(load.counts for load in loads.values())
    unattributed = Counts(misplaced=strays.misplaced, foreign=strays.foreign)
    phases = {load.name: Counts() for load in plan.loads} | {
        name: replace(load.counts, misplaced=0, foreign=0) for name, load in loads.items()
    }
    shares = [total(parts) for parts in zip(*(_shared(one, len(own)) for one in phases.values()), strict=True)]
    streams = []
    for place, counts in zip(own, shares, strict=True):
        topic, _, partition = place.rpartition(":")
        streams.append(
            {
                "topic": topic,
                "partition": int(partition),
                "sender": 0,
                "counts": counts.to_json(),
                "examples": _examples(counts, int(anomalies_from * counts.sent)),
            }
        )
    if rekeyed:
        streams[0]["examples"]["rekeyed"] = streams[0]["examples"]["corrupted"][:1]
    return {
        "totals": (total(phases.values()) + unattributed).to_json(),
        "canary": {"sent": len(own), "acked": len(own), "arrived": len(own), "missing": []},
        "phases": {name: counts.to_json() for name, counts in phases.items()},
        "unattributed": unattributed.to_json(),
        "streams": streams,
    }


def _shared(counts: Counts, parts: int) -> list[Counts]:
    """So many counts that add up to these, and balance if these do."""
    fields = counts.to_json()
    acked_off = counts.acked - counts.arrived - counts.late - counts.lost
    sent_off = counts.sent - counts.acked - counts.failed - counts.unknown
    found = []
    for number in range(parts):
        share = {name: value // parts + (number < value % parts) for name, value in fields.items()}
        share["acked"] = share["arrived"] + share["late"] + share["lost"] + (acked_off if number == 0 else 0)
        share["sent"] = share["acked"] + share["failed"] + share["unknown"] + (sent_off if number == 0 else 0)
        found.append(Counts(**share))
    return found


def _examples(counts: Counts, first: int) -> dict[str, Any]:
    """Of each anomaly as many as are listed, from a record of the stream on."""
    ranges = {name: [[first, first + count]] for name in ("lost", "late", "failed") if (count := getattr(counts, name))}
    single = {
        name: list(range(first, first + min(count, 20)))
        for name in ("duplicated", "reordered", "corrupted")
        if (count := getattr(counts, name))
    }
    return {**ranges, **single}


# Evidence.

Item = dict[str, Any]
Metrics = dict[Role, list[Item]]


def made_once(make: Callable[[], Metrics]) -> Callable[[], Metrics]:
    """The same metrics at each call, each time to be changed at will: to read a text is faster than to make them."""

    @lru_cache(maxsize=1)
    def texts() -> dict[Role, str]:
        return {role: json.dumps(items) for role, items in make().items()}

    @wraps(make)
    def made() -> Metrics:
        return {role: json.loads(text) for role, text in texts().items()}

    return made


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


@made_once
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
        Role.NODE_NETWORK_TROUBLE: [
            item(always(3.0), **labels, device="eth0", __name__=name)
            for labels in nodes
            for name in sorted(NETWORK_NAMES)
        ],
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
    record = RunRecord.open(run)
    environment = environment_of_text(record.manifest.environment.text).environment
    windows = Windows.of(record, environment)
    start_s, end_s = (LOAD_START_S - 20, FETCHED_UNTIL_S)
    if windows is not None:
        start_s, end_s = windows.fetched.start_s - T0_S, windows.fetched.end_s - T0_S
    entries: list[dict[str, Any]] = _write_connect(directory, connectors, connect_error, workers)
    for role in (Role.UP, *CONFLUENT_MIRROR.metrics):
        selector = CONFLUENT_MIRROR.selector(role, environment)
        entry = {"kind": "metric", "role": role.value, "query": selector, "error": errors.get(role)}
        if role not in errors:
            span_s = end_s - start_s
            answer = matrix(metrics.get(role, []), warnings.get(role, []))
            name = f"metric-{role}-001.json"
            write_text(directory / name, bodies.get(role, json.dumps(answer)))
            entry |= {
                "file": name,
                "query": f"{selector}[{round(span_s * 1000)}ms]",
                "at_s": T0_S + end_s,
                "span_s": span_s,
                "status": 200,
                "result_type": "matrix",
                "series": len(metrics.get(role, [])),
                "warnings": warnings.get(role, []),
                "infos": [],
            }
        entries.append(entry)
    write_json(directory / "index.json", index_of(record, environment, windows, entries))
    write_text(directory / SEAL, sums(directory))
    return directory


def index_of(
    record: RunRecord, environment: Environment, windows: Windows | None, answers: list[dict[str, Any]]
) -> dict[str, Any]:
    """The index of evidence that was collected a minute after the run's end."""
    collected_ns = last_known_ns(record) + 57_000_000_000
    return {
        "schema": 2,
        "collected_at_ns": collected_ns,
        "connect_asked_at_ns": collected_ns,
        "profile": CONFLUENT_MIRROR.name,
        "profile_named": False,
        "profile_others": [],
        "profile_missing": [],
        "profile_strangers": [],
        "prometheus_clock": None,
        "prometheus_url": environment.prometheus.url,
        "connect_urls": list(environment.connect.urls),
        "windows": None if windows is None else asdict(windows),
        "answers": answers,
    }


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
