"""The measures that criteria may name: the vocabulary shared by the plan and the judge.

The judge has one function per name (a test checks that none is missing), so a scenario with an unknown measure or a
condition in the wrong unit is refused before any load.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """What a criterion on this measure may say when the intended load was not applied.

    LOAD: it *is* the question whether the load was applied; failing it is INCONCLUSIVE, never NOGO, since a generator
    cannot blame the system under test. PERFORMANCE: judged only if the load was applied. INTEGRITY and STATE: a lost
    record or a failed task is NOGO whatever the load was. CAPACITY: worked out from steps that were each judged, load
    and all.
    """

    LOAD = "load"
    PERFORMANCE = "performance"
    INTEGRITY = "integrity"
    STATE = "state"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpec:
    """`looks_back`: MM2's own gauges of it span the last 30 to 60 s (two Kafka metric windows of 30 s), so the phase
    must be fenced by silence and watched afterwards. `min_samples`: fewer make it INCONCLUSIVE. `stretch`: it can also
    be measured over a part of the load only (a criterion's `between`). `phase`: and of one load phase. `needs_drain`: a
    drain that was cut short makes it look worse. `needs_reader`: so does a reader of ours that stood still."""

    name: str
    unit: str
    group: Group
    meaning: str
    looks_back: bool = False
    min_samples: int = 1
    stretch: bool = False
    phase: bool = True
    needs_drain: bool = False
    needs_reader: bool = False

    @property
    def asked(self) -> bool:
        """Whether Prometheus or Connect is asked for it. All others are of the run's own record."""
        return self.name.startswith(("connect.", "mm2.", "workers."))


def _measures(*specs: MeasureSpec) -> dict[str, MeasureSpec]:
    return {spec.name: spec for spec in specs}


def _ledger(name: str, meaning: str, group: Group = Group.INTEGRITY, *, needs_drain: bool = False) -> MeasureSpec:
    return MeasureSpec(name=f"ledger.{name}", unit="records", group=group, meaning=meaning, needs_drain=needs_drain)


def _e2e(name: str, meaning: str, min_samples: int = 1) -> MeasureSpec:
    return MeasureSpec(
        name=f"e2e.{name}",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning=meaning,
        min_samples=min_samples,
        stretch=True,
        needs_drain=name.startswith("p"),  # mean and maximum are lower bounds, and true as such
        needs_reader=True,
    )


MEASURES: dict[str, MeasureSpec] = _measures(
    MeasureSpec(
        name="load.achieved",
        unit="%",
        group=Group.LOAD,
        meaning="records handed to the producer ÷ records planned",
    ),
    MeasureSpec(
        name="load.send_delay_max",
        unit="ms",
        group=Group.LOAD,
        meaning="largest sent − due; a lower bound where planned records were never sent",
    ),
    MeasureSpec(
        name="load.send_delay_mean",
        unit="ms",
        group=Group.LOAD,
        meaning="mean of sent − due; a lower bound where planned records were never sent",
    ),
    MeasureSpec(
        name="load.send_delay_p99",
        unit="ms",
        group=Group.LOAD,
        meaning="99th percentile of sent − due; a planned record that was never sent counts as infinite",
        min_samples=1000,
    ),
    _ledger("acked", "records acknowledged by the source"),
    _ledger("send_errors", "records that the source refused, or left without an answer"),
    _ledger("arrived", "acknowledged records that came out at the target, each counted once", needs_drain=True),
    _ledger(
        "lost",
        "acknowledged, not arrived, though later records of the stream did, or MM2 committed past them",
    ),
    _ledger("late", "acknowledged, not arrived when the drain ended, and not proven lost", needs_drain=True),
    _ledger("duplicated", "arrivals of records that had already arrived"),
    _ledger("reordered", "first arrivals behind a later record of their stream"),
    _ledger("corrupted", "arrivals whose bytes are not those sent"),
    _ledger("phantom", "arrivals of records that the source had refused"),
    _ledger("backlog_end", "acknowledged − arrived when the drain ended", Group.PERFORMANCE, needs_drain=True),
    MeasureSpec(
        name="ledger.backlog_max",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="largest acknowledged − arrived, sampled each second",
        stretch=True,
        needs_reader=True,
    ),
    MeasureSpec(
        name="backlog.last",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="acknowledged − arrived in the load's last second",
        stretch=True,
        needs_reader=True,
    ),
    MeasureSpec(
        name="arrivals.rate",
        unit="records/s",
        group=Group.PERFORMANCE,
        meaning="records that came out at the target while the load went on ÷ its duration",
        stretch=True,
        needs_reader=True,
    ),
    MeasureSpec(
        name="backlog.growth",
        unit="records/s",
        group=Group.PERFORMANCE,
        meaning="slope of acknowledged − arrived over the load, with its 90 % confidence interval; all of it decides",
        min_samples=30,
        needs_reader=True,
    ),
    MeasureSpec(
        name="backlog.recovery",
        unit="s",
        group=Group.PERFORMANCE,
        meaning="from the load's end until acknowledged − arrived was below 1000, and stayed there",
        needs_reader=True,
    ),
    MeasureSpec(
        name="source.ack_mean",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="mean of acknowledged − sent: from the producer until the source's answer for the record's batch",
    ),
    _e2e("mean", "mean of arrived − due"),
    _e2e("max", "largest arrived − due"),
    _e2e("p50", "median of arrived − due; a missing acknowledged record counts as infinite", 100),
    _e2e("p99", "99th percentile of arrived − due; a missing acknowledged record counts as infinite", 1000),
    MeasureSpec(
        name="connect.poll_total",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="growth of the source tasks' source-record-poll-total",
        needs_drain=True,
    ),
    MeasureSpec(
        name="connect.write_total",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="growth of the source tasks' source-record-write-total",
        needs_drain=True,
    ),
    MeasureSpec(
        name="connect.replication_ratio",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="growth of write-total ÷ growth of poll-total",
        stretch=True,
        needs_drain=True,
    ),
    MeasureSpec(
        name="connect.poll_rate",
        unit="records/s",
        group=Group.PERFORMANCE,
        meaning="growth of source-record-poll-total while the load went on ÷ its duration",
        stretch=True,
    ),
    MeasureSpec(
        name="connect.write_rate",
        unit="records/s",
        group=Group.PERFORMANCE,
        meaning="growth of source-record-write-total while the load went on ÷ its duration",
        stretch=True,
    ),
    MeasureSpec(
        name="connect.poll_idle",
        unit="s",
        group=Group.PERFORMANCE,
        meaning="longest stretch of the load in which no task polled a record",
    ),
    MeasureSpec(
        name="connect.in_flight_max",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="largest sum of source-record-active-count: records between MM2's poll and the target's ack, not lag",
        stretch=True,
    ),
    MeasureSpec(
        name="connect.buffer_utilization",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="largest 1 − buffer-available-bytes ÷ buffer-total-bytes of any producer of the source connector",
        stretch=True,
    ),
    MeasureSpec(
        name="connect.throttle_max",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="largest produce-throttle-time-max of those producers: above 0, a quota of the target held MM2 back",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="connect.offset_commit_failure",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="largest offset-commit-failure-percentage of the source tasks (a fraction in JMX), × 100",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="connect.task_errors",
        unit="errors",
        group=Group.STATE,
        meaning="growth of total-record-errors, total-record-failures and total-records-skipped of the source tasks",
    ),
    MeasureSpec(
        name="connect.offset_commit_max",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="largest offset-commit-max-time-ms of the source tasks",
        looks_back=True,
    ),
    MeasureSpec(
        name="connect.failed_tasks",
        unit="tasks",
        group=Group.STATE,
        meaning="largest connector-failed-task-count of the source connector",
    ),
    MeasureSpec(
        name="connect.task_failures",
        unit="tasks",
        group=Group.STATE,
        meaning="how often a task of the source connector went FAILED, seen at the scrapes, restarted since or not",
    ),
    MeasureSpec(
        name="connect.rebalances",
        unit="rebalances",
        group=Group.PERFORMANCE,
        meaning="growth of the Connect group's completed-rebalances-total, as the worker counted it that saw most",
    ),
    MeasureSpec(
        name="connect.buffer_exhausted",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="growth of buffer-exhausted-total of those producers: sends that gave up waiting for room",
    ),
    MeasureSpec(
        name="connect.not_running",
        unit="tasks",
        group=Group.STATE,
        phase=False,
        meaning="MM2's connectors and tasks that Connect's REST API does not report RUNNING after the run",
    ),
    MeasureSpec(
        name="mm2.topics_replicated",
        unit="topics",
        group=Group.PERFORMANCE,
        meaning="topics inside the prefix for which MM2 exports mirror metrics",
        needs_drain=True,
    ),
    MeasureSpec(
        name="mm2.latency_avg",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="mean of replication-latency-ms-avg over partitions, each weighted by its records",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.latency_max",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="largest replication-latency-ms-max",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.record_age_avg",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="mean of record-age-ms-avg over partitions, each weighted by its records: age when MM2 read it",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.record_age_max",
        unit="ms",
        group=Group.PERFORMANCE,
        meaning="largest record-age-ms-max",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.partition_ratio",
        unit="x",
        group=Group.PERFORMANCE,
        meaning="mean replication latency of the slowest partition ÷ the median of the other partitions' means",
        looks_back=True,
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.record_rate",
        unit="records/s",
        group=Group.PERFORMANCE,
        meaning="growth of MM2's record-count on our topics while the load went on ÷ its duration",
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.byte_rate",
        unit="MB/s",
        group=Group.PERFORMANCE,
        meaning="growth of MM2's byte-count on our topics (values only) while the load went on ÷ its duration",
        stretch=True,
    ),
    MeasureSpec(
        name="mm2.record_count_gap",
        unit="records",
        group=Group.PERFORMANCE,
        meaning="|growth of MM2's record-count on our topics − (records acknowledged + duplicated)|",
        needs_drain=True,
    ),
    MeasureSpec(
        name="target.topics_arrived",
        unit="topics",
        group=Group.PERFORMANCE,
        phase=False,
        meaning="topics of the plan of which at least one record came out at the target",
        needs_drain=True,
    ),
    MeasureSpec(
        name="workers.cpu",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="largest CPU use of the Connect workers over 30 s: their processes', or their nodes' (environment.cpu)",
        stretch=True,
    ),
    MeasureSpec(
        name="workers.memory",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="largest 1 − MemAvailable ÷ MemTotal of the Connect workers' nodes",
        stretch=True,
    ),
    MeasureSpec(
        name="workers.heap",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="largest heap used ÷ heap allowed of any Connect worker's JVM",
        stretch=True,
    ),
    MeasureSpec(
        name="workers.memory_growth",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="trend over the load of the nodes' memory in use, in % of where it began, with its 90 % interval",
        min_samples=30,
    ),
    MeasureSpec(
        name="workers.heap_growth",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="the same of the workers' heap after garbage collection (the least of each block of time)",
        min_samples=30,
    ),
    MeasureSpec(
        name="workers.cpu_growth",
        unit="%",
        group=Group.PERFORMANCE,
        meaning="trend over the load of the workers' CPU, in % of where it began, with its 90 % interval",
        min_samples=30,
    ),
    MeasureSpec(
        name="workers.network_drops",
        unit="packets",
        group=Group.PERFORMANCE,
        meaning="growth of dropped and faulty packets, both ways, on the Connect workers' nodes, loopback left out",
    ),
    MeasureSpec(
        name="capacity.confirmed",
        unit="records/s",
        group=Group.CAPACITY,
        meaning="highest step of a staircase that was GO, and GO again, with every lower one",
        phase=False,
    ),
    MeasureSpec(
        name="capacity.recommended",
        unit="records/s",
        group=Group.CAPACITY,
        meaning="70 % of that",
        phase=False,
    ),
)
