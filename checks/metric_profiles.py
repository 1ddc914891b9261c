"""Names of MM2's metrics. They differ with the exporter's configuration; a profile holds one set of names.

`confluent_mirror` has the names that the runbook's panels query: those of Confluent's jmx_exporter rules for Connect,
plus the usual rule for `kafka.connect.mirror`. From version 1.0 on, jmx_exporter strips `_total` from names that are
not typed as counters, so a counter is looked for with the suffix and without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scenarios.environment import Environment


class Role(StrEnum):
    """What the judge needs to know, whatever it is called."""

    UP = "up"
    POLL_TOTAL = "poll_total"
    WRITE_TOTAL = "write_total"
    ACTIVE_COUNT = "active_count"
    OFFSET_COMMIT_MAX = "offset_commit_max"
    FAILED_TASKS = "failed_tasks"
    RECORD_COUNT = "record_count"
    LATENCY_AVG = "latency_avg"
    LATENCY_MAX = "latency_max"
    BYTE_COUNT = "byte_count"
    OFFSET_COMMIT_FAILURE = "offset_commit_failure"
    TASK_ERRORS = "task_errors"
    TASK_FAILURES = "task_failures"
    TASK_SKIPPED = "task_skipped"
    BUFFER_AVAILABLE = "buffer_available"
    BUFFER_TOTAL = "buffer_total"
    THROTTLE_MAX = "throttle_max"
    PROCESS_CPU = "process_cpu"
    HEAP_USED = "heap_used"
    HEAP_MAX = "heap_max"
    NODE_CPU_IDLE = "node_cpu_idle"
    NODE_MEMORY_AVAILABLE = "node_memory_available"
    NODE_MEMORY_TOTAL = "node_memory_total"
    NODE_NETWORK_TROUBLE = "node_network_trouble"


class Job(StrEnum):
    """Whose scrape job a metric comes from."""

    CONNECT = "connect"
    NODES = "nodes"


class Filter(StrEnum):
    """Which of a metric's series are ours."""

    NONE = "none"
    CONNECTOR = "connector"  # the source connector's
    PREFIX = "prefix"  # mirrors of topics inside the prefix
    PRODUCER = "producer"  # producers of the source connector's tasks, under Connect's own client ids


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricName:
    """A metric under one profile. `counter`: its name may lack `_total`. `also`: other names that it goes by, all of
    which are taken. `matchers` are PromQL as it stands."""

    name: str
    filter: Filter = Filter.NONE
    counter: bool = False
    also: tuple[str, ...] = ()
    matchers: tuple[str, ...] = ()
    job: Job = Job.CONNECT

    @property
    def base(self) -> str:
        return self.name.removesuffix("_total") if self.counter else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricProfile:
    """Metric and label names of one exporter configuration."""

    name: str
    metrics: dict[Role, MetricName]
    connector_label: str = "connector"
    task_label: str = "task"
    topic_label: str = "topic"
    partition_label: str = "partition"
    client_label: str = "client_id"

    def selector(self, role: Role, environment: Environment) -> str:
        """The PromQL selector of a role's series in an environment: one job, and only what is ours."""
        if role is Role.UP:
            return f"up{{{job_matcher(environment)}}}"
        metric = self.metrics[role]
        matchers = [job_matcher(environment, metric.job), *metric.matchers]
        if metric.filter is Filter.CONNECTOR:
            # Names outside [\w-%. ] are quoted by JMX, and the quotes end up inside the label's value.
            name = _regex(environment.connect.connectors.source)
            matchers.append(f"{self.connector_label}=~{_string(_QUOTE + '?' + name + _QUOTE + '?')}")
        elif metric.filter is Filter.PREFIX:
            mirrored = _regex(environment.topics.remote("\0")).replace("\0", _regex(environment.topics.prefix) + ".*")
            matchers.append(f"{self.topic_label}=~{_string(mirrored)}")
        elif metric.filter is Filter.PRODUCER:
            name = _regex(f"connector-producer-{environment.connect.connectors.source}-")
            matchers.append(f"{self.client_label}=~{_string(_QUOTE + '?' + name + '[0-9]+' + _QUOTE + '?')}")
        if metric.also:
            matchers.insert(0, f"__name__=~{_string('|'.join((metric.name, *metric.also)))}")
            return f"{{{','.join(matchers)}}}"
        if metric.counter:
            matchers.insert(0, f"__name__=~{_string(f'{metric.base}(_total)?')}")
            return f"{{{','.join(matchers)}}}"
        return f"{metric.name}{{{','.join(matchers)}}}"


_QUOTE = '"'
_CONNECT = "kafka_connect"
_MIRROR = "kafka_connect_mirror_source_connector"
_ERRORS = f"{_CONNECT}_task_error_metrics"
_PRODUCER = "kafka_producer_producer_metrics"

CONFLUENT_MIRROR = MetricProfile(
    name="confluent_mirror",
    metrics={
        Role.POLL_TOTAL: MetricName(
            name=f"{_CONNECT}_source_task_metrics_source_record_poll_total", filter=Filter.CONNECTOR, counter=True
        ),
        Role.WRITE_TOTAL: MetricName(
            name=f"{_CONNECT}_source_task_metrics_source_record_write_total", filter=Filter.CONNECTOR, counter=True
        ),
        Role.ACTIVE_COUNT: MetricName(
            name=f"{_CONNECT}_source_task_metrics_source_record_active_count", filter=Filter.CONNECTOR
        ),
        Role.OFFSET_COMMIT_MAX: MetricName(
            name=f"{_CONNECT}_connector_task_metrics_offset_commit_max_time_ms", filter=Filter.CONNECTOR
        ),
        Role.FAILED_TASKS: MetricName(
            name=f"{_CONNECT}_connect_worker_metrics_connector_failed_task_count", filter=Filter.CONNECTOR
        ),
        Role.RECORD_COUNT: MetricName(name=f"{_MIRROR}_record_count", filter=Filter.PREFIX),
        Role.LATENCY_AVG: MetricName(name=f"{_MIRROR}_replication_latency_ms_avg", filter=Filter.PREFIX),
        Role.LATENCY_MAX: MetricName(name=f"{_MIRROR}_replication_latency_ms_max", filter=Filter.PREFIX),
        Role.BYTE_COUNT: MetricName(name=f"{_MIRROR}_byte_count", filter=Filter.PREFIX),
        Role.OFFSET_COMMIT_FAILURE: MetricName(
            name=f"{_CONNECT}_connector_task_metrics_offset_commit_failure_percentage", filter=Filter.CONNECTOR
        ),
        Role.TASK_ERRORS: MetricName(name=f"{_ERRORS}_total_record_errors", filter=Filter.CONNECTOR),
        Role.TASK_FAILURES: MetricName(name=f"{_ERRORS}_total_record_failures", filter=Filter.CONNECTOR),
        Role.TASK_SKIPPED: MetricName(name=f"{_ERRORS}_total_records_skipped", filter=Filter.CONNECTOR),
        Role.BUFFER_AVAILABLE: MetricName(name=f"{_PRODUCER}_buffer_available_bytes", filter=Filter.PRODUCER),
        Role.BUFFER_TOTAL: MetricName(name=f"{_PRODUCER}_buffer_total_bytes", filter=Filter.PRODUCER),
        Role.THROTTLE_MAX: MetricName(name=f"{_PRODUCER}_produce_throttle_time_max", filter=Filter.PRODUCER),
        Role.PROCESS_CPU: MetricName(name="process_cpu_seconds_total", counter=True),
        # The agent's own metrics of the JVM: named one way up to 0.20, the other way from 1.0 on.
        Role.HEAP_USED: MetricName(
            name="jvm_memory_used_bytes", also=("jvm_memory_bytes_used",), matchers=('area="heap"',)
        ),
        Role.HEAP_MAX: MetricName(
            name="jvm_memory_max_bytes", also=("jvm_memory_bytes_max",), matchers=('area="heap"',)
        ),
        Role.NODE_CPU_IDLE: MetricName(name="node_cpu_seconds_total", matchers=('mode="idle"',), job=Job.NODES),
        Role.NODE_MEMORY_AVAILABLE: MetricName(name="node_memory_MemAvailable_bytes", job=Job.NODES),
        Role.NODE_MEMORY_TOTAL: MetricName(name="node_memory_MemTotal_bytes", job=Job.NODES),
        Role.NODE_NETWORK_TROUBLE: MetricName(
            name="node_network_receive_drop_total",
            also=(
                "node_network_receive_errs_total",
                "node_network_transmit_drop_total",
                "node_network_transmit_errs_total",
            ),
            matchers=('device!="lo"',),
            job=Job.NODES,
        ),
    },
)

PROFILES: dict[str, MetricProfile] = {profile.name: profile for profile in (CONFLUENT_MIRROR,)}


def job_matcher(environment: Environment, job: Job = Job.CONNECT) -> str:
    """The label matcher of a scrape job, that of the Connect workers unless told otherwise."""
    jobs = environment.prometheus.jobs
    return f"job={_string(jobs.nodes if job is Job.NODES else jobs.connect)}"


def detect(names: Iterable[str]) -> MetricProfile:
    """The profile that most of the names present belong to; the first one when none is present at all."""
    present = {name.removesuffix("_total") for name in names}

    def matches(profile: MetricProfile) -> int:
        return sum(metric.name.removesuffix("_total") in present for metric in profile.metrics.values())

    return max(PROFILES.values(), key=matches)


def _regex(text: str) -> str:
    # RE2 knows the same escapes; Python's own escape of a space or a hyphen is one that RE2 refuses.
    return re.sub(r"([.+*?^$()\[\]{}|\\])", r"\\\1", text)


def _string(text: str) -> str:
    """A PromQL string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
