"""Which roles each measure reads: what Prometheus must show, or the measure has no value. Pure.

`up` of the Connect workers belongs to all of them, and is not named here; nor is the counter that tells whether a
look-back gauge is idle, which follows from the gauge (checks/role_facts.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from checks.metric_roles import Role
from checks.role_facts import FACTS
from scenarios.environment import Environment

_CPU = (Role.NODE_CPU_IDLE,)
_NODE_MEMORY = (Role.NODE_MEMORY_AVAILABLE, Role.NODE_MEMORY_TOTAL)
_HEAP = (Role.HEAP_USED, Role.HEAP_MAX)
#: The workers' CPU, where it is that of their processes and not of their nodes.
_OF_PROCESSES = {"workers.cpu": (Role.PROCESS_CPU,), "workers.cpu_growth": (Role.PROCESS_CPU,)}
#: What is asked of Connect's REST API where there is one.
_WITHOUT_CONNECT = {"connect.not_running": (Role.TOTAL_TASKS, Role.RUNNING_TASKS)}

ROLES: Mapping[str, tuple[Role, ...]] = {
    "connect.poll_total": (Role.POLL_TOTAL,),
    "connect.write_total": (Role.WRITE_TOTAL,),
    "connect.replication_ratio": (Role.POLL_TOTAL, Role.WRITE_TOTAL),
    "connect.poll_rate": (Role.POLL_TOTAL,),
    "connect.write_rate": (Role.WRITE_TOTAL,),
    "connect.poll_idle": (Role.POLL_TOTAL,),
    "connect.in_flight_max": (Role.ACTIVE_COUNT,),
    "connect.buffer_utilization": (Role.BUFFER_AVAILABLE, Role.BUFFER_TOTAL),
    "connect.buffer_exhausted": (Role.BUFFER_EXHAUSTED,),
    "connect.throttle_max": (Role.THROTTLE_MAX,),
    "connect.offset_commit_failure": (Role.OFFSET_COMMIT_FAILURE,),
    "connect.offset_commit_max": (Role.OFFSET_COMMIT_MAX,),
    "connect.task_errors": (Role.TASK_ERRORS, Role.TASK_FAILURES, Role.TASK_SKIPPED),
    "connect.failed_tasks": (Role.FAILED_TASKS,),
    "connect.task_failures": (Role.FAILED_TASKS,),
    "connect.rebalances": (Role.REBALANCES,),
    "connect.not_running": (),
    "mm2.topics_replicated": (Role.RECORD_COUNT,),
    "mm2.latency_avg": (Role.LATENCY_AVG,),
    "mm2.latency_max": (Role.LATENCY_MAX,),
    "mm2.record_age_avg": (Role.RECORD_AGE_AVG, Role.RECORD_COUNT),
    "mm2.record_age_max": (Role.RECORD_AGE_MAX,),
    "mm2.partition_ratio": (Role.LATENCY_AVG,),
    "mm2.record_rate": (Role.RECORD_COUNT,),
    "mm2.byte_rate": (Role.BYTE_COUNT,),
    "mm2.record_count_gap": (Role.RECORD_COUNT,),
    "workers.cpu": _CPU,
    "workers.cpu_growth": _CPU,
    "workers.memory": _NODE_MEMORY,
    "workers.memory_growth": _NODE_MEMORY,
    "workers.heap": _HEAP,
    "workers.heap_growth": _HEAP,
    "workers.network_drops": (Role.NODE_NETWORK_TROUBLE,),
}


def roles_of(measure: str, environment: Environment) -> frozenset[Role]:
    """The roles that a measure reads in an environment; none where it is of the run's own record."""
    roles = ROLES.get(measure, ())
    if environment.cpu.workers == "process":
        roles += _OF_PROCESSES.get(measure, ())
    if not environment.connect.urls:
        roles += _WITHOUT_CONNECT.get(measure, ())
    activities = (FACTS[role].activity for role in roles)
    return frozenset(roles) | {activity.counter for activity in activities if activity is not None}
