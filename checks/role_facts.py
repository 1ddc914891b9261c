"""What each metric role is: its kind, the numbers that it can show, who shows it, and when it may show none.

The one place where this is declared. A measure asks for a role and gets series that are complete by this table
(checks/measures/scraped.py); what is not said here is the strictest: a number at every scrape, none below 0.

Look-back gauges are `-avg`, `-max` and `-min` of Kafka's SampledStat: they are NaN when nothing happened in their two
windows of 30 s, and only then. So they may be NaN while the counter of what they tell of stands still, and must be a
number from the scrape at which it moved until 30 s after the move. Frequencies (`-percentage`) are 0 when idle, totals
and `Value`s keep what they had: none of these is ever NaN by Kafka's design.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from checks.metric_roles import MetricName, Role
from checks.reasons import Code

#: A look-back gauge shows what happened for at least this long: one window of metrics.sample.window.ms.
LOOK_BACK_LEAST_S = 30.0


class Kind(StrEnum):
    """How a role's numbers go on."""

    COUNTER = "counter"  # only grows, and starts from 0 when its owner does
    GAUGE = "gauge"  # what is now
    LOOK_BACK = "look-back"  # what the last 30 to 60 seconds came to; NaN when that is nothing


class Owner(StrEnum):
    """Whose series a role's are: who must show one, all the time that is looked at."""

    WORKER = "worker"  # every Connect worker
    TASKED_WORKER = "tasked worker"  # every Connect worker, for as long as a task of the source connector is on it
    TASK = "task"  # every task of the source connector, on whichever worker
    PRODUCER = "producer"  # the producer of every such task
    PARTITION = "partition"  # every partition of the plan's mirrors
    NODE = "node"  # every machine that a Connect worker runs on


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What makes a look-back gauge show a number: growth of `counter`, of the same owner (of a producer, its task).

    `flushed`: the gauge is told of it only with the next offset flush.
    """

    counter: Role
    flushed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """`least`, `most`: what no number of it can be below or above, and `below` the reason where one is. `activity`:
    of a look-back gauge. `finer`: labels that tell several series of one owner apart, none of which counts twice."""

    owner: Owner
    kind: Kind = Kind.GAUGE
    least: float = 0.0
    most: float | None = None
    below: Code = Code.OUT_OF_RANGE
    activity: Activity | None = None
    finer: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind is Kind.LOOK_BACK) != (self.activity is not None):
            raise ValueError("a look-back gauge, and no other, is NaN without activity: say whose")


def _counter(owner: Owner, *, finer: tuple[str, ...] = ()) -> RoleFacts:
    return RoleFacts(owner=owner, kind=Kind.COUNTER, finer=finer)


def _gauge(owner: Owner, *, most: float | None = None) -> RoleFacts:
    return RoleFacts(owner=owner, most=most)


def _latency(counter: Role) -> RoleFacts:
    """A negative one is two clocks that differ."""
    return RoleFacts(
        owner=Owner.PARTITION,
        kind=Kind.LOOK_BACK,
        below=Code.NEGATIVE_LATENCIES,
        activity=Activity(counter=counter),
    )


FACTS: Mapping[Role, RoleFacts] = {
    Role.UP: _gauge(Owner.WORKER, most=1.0),
    Role.POLL_TOTAL: _counter(Owner.TASK),
    Role.WRITE_TOTAL: _counter(Owner.TASK),
    Role.ACTIVE_COUNT: _gauge(Owner.TASK),
    # A commit is tried at each flush, with or without records (but for exactly-once tasks: only with).
    Role.OFFSET_COMMIT_MAX: RoleFacts(
        owner=Owner.TASK, kind=Kind.LOOK_BACK, activity=Activity(counter=Role.POLL_TOTAL, flushed=True)
    ),
    Role.OFFSET_COMMIT_FAILURE: _gauge(Owner.TASK, most=1.0),
    Role.FAILED_TASKS: _gauge(Owner.TASKED_WORKER),
    Role.RUNNING_TASKS: _gauge(Owner.TASKED_WORKER),
    Role.TOTAL_TASKS: _gauge(Owner.TASKED_WORKER),
    Role.TASK_ERRORS: _counter(Owner.TASK),
    Role.TASK_FAILURES: _counter(Owner.TASK),
    Role.TASK_SKIPPED: _counter(Owner.TASK),
    Role.REBALANCES: _counter(Owner.WORKER),
    Role.REBALANCING: _gauge(Owner.WORKER, most=1.0),
    Role.RECORD_COUNT: _counter(Owner.PARTITION),
    Role.BYTE_COUNT: _counter(Owner.PARTITION),
    # MM2 counts a record, and takes its latency, at the target's acknowledgement; its bytes and its age at the poll.
    Role.LATENCY_AVG: _latency(Role.RECORD_COUNT),
    Role.LATENCY_MAX: _latency(Role.RECORD_COUNT),
    Role.RECORD_AGE_AVG: _latency(Role.BYTE_COUNT),
    Role.RECORD_AGE_MAX: _latency(Role.BYTE_COUNT),
    Role.BUFFER_AVAILABLE: _gauge(Owner.PRODUCER),
    Role.BUFFER_TOTAL: _gauge(Owner.PRODUCER),
    Role.BUFFER_EXHAUSTED: _counter(Owner.PRODUCER),
    Role.THROTTLE_MAX: RoleFacts(
        owner=Owner.PRODUCER, kind=Kind.LOOK_BACK, activity=Activity(counter=Role.WRITE_TOTAL)
    ),
    Role.PROCESS_CPU: _counter(Owner.WORKER),
    Role.HEAP_USED: _gauge(Owner.WORKER),
    Role.HEAP_MAX: _gauge(Owner.WORKER),
    Role.NODE_CPU_IDLE: _counter(Owner.NODE, finer=("cpu",)),
    Role.NODE_MEMORY_AVAILABLE: _gauge(Owner.NODE),
    Role.NODE_MEMORY_TOTAL: _gauge(Owner.NODE),
    Role.NODE_NETWORK_TROUBLE: _counter(Owner.NODE, finer=("__name__", "device")),
}


#: Roles that some configurations show as the largest of late (`MetricName.looks_back`), and what that tells of.
SHOWN_AS_LARGEST: Mapping[Role, Activity] = {Role.ACTIVE_COUNT: Activity(counter=Role.POLL_TOTAL)}


def facts_of(role: Role, metric: MetricName | None = None) -> RoleFacts:
    """What a role is, under the name that a profile has for it. KeyError for one that nobody declared: no measure can
    use it before somebody does."""
    if metric is not None and metric.looks_back:
        return replace(FACTS[role], kind=Kind.LOOK_BACK, activity=SHOWN_AS_LARGEST[role])
    return FACTS[role]
