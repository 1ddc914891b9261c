"""What the judge needs to know of MM2, whatever an exporter calls it, and how one metric is named and narrowed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What the judge needs to know, whatever it is called."""

    UP = "up"
    POLL_TOTAL = "poll_total"
    WRITE_TOTAL = "write_total"
    ACTIVE_COUNT = "active_count"
    OFFSET_COMMIT_MAX = "offset_commit_max"
    OFFSET_COMMIT_FAILURE = "offset_commit_failure"
    FAILED_TASKS = "failed_tasks"
    RUNNING_TASKS = "running_tasks"
    TOTAL_TASKS = "total_tasks"
    TASK_ERRORS = "task_errors"
    TASK_FAILURES = "task_failures"
    TASK_SKIPPED = "task_skipped"
    REBALANCES = "rebalances"
    REBALANCING = "rebalancing"
    RECORD_COUNT = "record_count"
    BYTE_COUNT = "byte_count"
    LATENCY_AVG = "latency_avg"
    LATENCY_MAX = "latency_max"
    RECORD_AGE_AVG = "record_age_avg"
    RECORD_AGE_MAX = "record_age_max"
    BUFFER_AVAILABLE = "buffer_available"
    BUFFER_TOTAL = "buffer_total"
    BUFFER_EXHAUSTED = "buffer_exhausted"
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
    """A metric under one configuration. `counter`: its name may lack `_total`, which jmx_exporter strips from version
    1.0 on unless the rule says COUNTER. `also`: other names that it goes by, all of which are taken. `matchers` are
    PromQL as it stands. `looks_back`: some versions of the agent show the largest of late under this name."""

    name: str
    filter: Filter = Filter.NONE
    counter: bool = False
    also: tuple[str, ...] = ()
    matchers: tuple[str, ...] = ()
    job: Job = Job.CONNECT
    looks_back: bool = False

    @property
    def base(self) -> str:
        return self.name.removesuffix("_total") if self.counter else self.name

    @property
    def names(self) -> frozenset[str]:
        """All the names under which it may be found."""
        own = {self.base, f"{self.base}_total"} if self.counter else {self.name}
        return frozenset({*own, *self.also})
