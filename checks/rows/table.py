"""Every row of the diagnosis, in the order in which a tired reader should try them, and what each may explain.

A row explains a criterion that is NOGO or GREY by its measure; one that could not be measured by the reason why. So the
lead of a sheet is about what decided, and what else was found stands apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checks.finding import PAGE_ROWS
from checks.reasons import Code

ARRIVING = frozenset(
    {
        "ledger.arrived",
        "ledger.late",
        "ledger.lost",
        "ledger.backlog_end",
        "ledger.backlog_max",
        "backlog.last",
        "backlog.growth",
        "backlog.recovery",
        "arrivals.rate",
        "target.topics_arrived",
    }
)
PASSING = frozenset(
    {
        "connect.poll_total",
        "connect.write_total",
        "connect.replication_ratio",
        "connect.poll_rate",
        "connect.write_rate",
        "connect.poll_idle",
        "mm2.record_rate",
        "mm2.byte_rate",
        "mm2.record_count_gap",
        "mm2.topics_replicated",
    }
)
E2E = frozenset({"e2e.mean", "e2e.max", "e2e.p50", "e2e.p99"})
LATENCY = E2E | {
    "mm2.latency_avg",
    "mm2.latency_max",
    "mm2.record_age_avg",
    "mm2.record_age_max",
    "mm2.partition_ratio",
}
BACKLOG = frozenset({"ledger.backlog_max", "backlog.last", "backlog.growth", "backlog.recovery", "arrivals.rate"})
STATE = frozenset({"connect.not_running", "connect.failed_tasks", "connect.task_failures", "connect.task_errors"})
SENDING = frozenset(
    {
        "load.achieved",
        "load.send_delay_max",
        "load.send_delay_mean",
        "load.send_delay_p99",
        "ledger.acked",
        "ledger.send_errors",
        "source.ack_mean",
    }
)
CAPACITY = frozenset({"capacity.confirmed", "capacity.recommended"})
COUNTED_BY_MM2 = frozenset({"connect.poll_total", "connect.write_total", "mm2.record_count_gap"})
STANDSTILL = ARRIVING | PASSING | LATENCY | STATE | CAPACITY | {"connect.rebalances"}

#: Reasons of criteria that were measured, in part at least: then it is the measure that says what may explain them.
MEASURED_IN_PART = frozenset(
    {
        Code.GO_MISSED,
        Code.ONLY_AT_LEAST,
        Code.LATE_MAY_BE_LOST,
        Code.NOT_RECOVERED,
        Code.NEVER_ARRIVED,
        Code.NEVER_SENT,
    }
)
#: Metrics that are not there, or not all of the time.
UNSEEN = frozenset(
    {
        Code.LOW_COVERAGE,
        Code.STARTS_LATE,
        Code.HOLE,
        Code.STALE,
        Code.NO_SERIES,
        Code.NO_SCRAPES,
        Code.ONLY_NAN,
        Code.EXPORTER_MISSING,
        Code.WORKERS_UNTOLD,
        Code.UP_MISSING,
        Code.TASKS_MISSING,
        Code.PARTITIONS_MISSING,
        Code.NO_BASE,
        Code.COUNTER_RESET,
    }
)
#: What a standstill leaves of MM2's metrics.
NOTHING_MOVED = frozenset({Code.NOTHING_POLLED, Code.NO_GROWTH, Code.NO_LATENCIES})
#: A mirror that is not what it was, or never was.
MIRROR_CHANGED = frozenset(
    {
        Code.MIRROR_GONE,
        Code.MIRROR_REMADE,
        Code.MIRROR_SMALLER,
        Code.MIRROR_TRUNCATED,
        Code.MIRROR_TRIMMED,
        Code.MIRROR_TRIM_UNTOLD,
        Code.MIRROR_ABSENT,
    }
)
NOT_LOADED = frozenset({Code.LOAD_NOT_APPLIED, Code.PLAN_NOT_SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explains:
    """Measures whose criteria a row may explain when they are not GO, and reasons for which one has no value."""

    measures: frozenset[str] = frozenset()
    codes: frozenset[Code] = frozenset()


_STANDSTILL = Explains(measures=STANDSTILL, codes=NOTHING_MOVED | UNSEEN)
_DROPPED = Explains(measures=ARRIVING | PASSING | E2E | {"connect.task_errors"}, codes=NOTHING_MOVED)
_MIRROR = Explains(measures=ARRIVING | PASSING | E2E | STATE, codes=NOTHING_MOVED | {Code.LOST_PLACE} | MIRROR_CHANGED)
_SLOW = Explains(measures=LATENCY | BACKLOG | CAPACITY)

OURS: Mapping[str, Explains] = {
    # MM2 does not run, or not all of it.
    "connector_absent": _STANDSTILL,
    "connector_paused": _STANDSTILL,
    "connector_stopped": _STANDSTILL,
    "connector_failed": _STANDSTILL,
    "connector_unassigned": _STANDSTILL,
    "no_tasks": _STANDSTILL,
    "task_not_authorized": _STANDSTILL,
    "record_too_large": _STANDSTILL,
    "task_failed": _STANDSTILL,
    "task_paused": _STANDSTILL,
    "task_unassigned": _STANDSTILL,
    "worker_silent": _STANDSTILL,
    # The mirror, or the source topic, is not what it was, or not the one that was read.
    "mirror_absent": _MIRROR,
    "mirror_renamed": _MIRROR,
    "mirror_gone": _MIRROR,
    "mirror_recreated": _MIRROR,
    "mirror_truncated": _MIRROR,
    "mirror_fewer_partitions": _MIRROR,
    "source_recreated": Explains(measures=ARRIVING | PASSING | E2E, codes=frozenset({Code.SOURCE_CHANGED})),
    "source_purged": Explains(measures=ARRIVING | PASSING | E2E, codes=frozenset({Code.PURGED})),
    "mirror_lost_place": _MIRROR,
    "mirror_unreadable": Explains(measures=ARRIVING | E2E, codes=frozenset({Code.READ_REFUSED})),
    "mirror_unread": Explains(
        measures=ARRIVING | E2E, codes=frozenset({Code.NOT_READ, Code.LATE_MAY_BE_LOST, Code.NO_LATENCIES})
    ),
    "reader_stood_still": Explains(measures=ARRIVING | E2E, codes=frozenset({Code.READER_STOOD_STILL})),
    # MM2 runs, and lets records fall, or changes them.
    "headers_dropped": _DROPPED,
    "transforms": _DROPPED,
    "transforms_alter": Explains(measures=frozenset({"ledger.corrupted", "ledger.reordered"})),
    "records_skipped": _DROPPED,
    "topic_not_selected": _DROPPED,
    "not_readable": _DROPPED,
    "partitions_silent": _DROPPED,
    # Somebody else.
    "second_connector": Explains(measures=COUNTED_BY_MM2 | {"ledger.duplicated", "connect.replication_ratio"}),
    "duplicated_at_source": Explains(
        measures=COUNTED_BY_MM2, codes=frozenset({Code.DUPLICATES_AT_SOURCE, Code.DUPLICATES_UNTOLD})
    ),
    "foreign_records": Explains(
        measures=COUNTED_BY_MM2 | {"ledger.corrupted", "connect.in_flight_max"},
        codes=frozenset({Code.OURS_AMONG_OTHERS}),
    ),
    # The load's own end, and the source.
    "source_refuses": Explains(measures=SENDING | {"ledger.phantom"}, codes=NOT_LOADED),
    "generator_stalled": Explains(measures=SENDING | E2E, codes=NOT_LOADED),
    "source_slow": Explains(measures=SENDING | LATENCY, codes=NOT_LOADED),
    "sender_held_up": Explains(measures=SENDING | E2E, codes=NOT_LOADED),
    "load_worker_lost": Explains(
        measures=SENDING, codes=NOT_LOADED | {Code.WORKER_LOST, Code.RECORD_UNFINISHED, Code.LOAD_NOT_STARTED}
    ),
    # Tasks that moved: what they had not committed came twice, and late.
    "worker_gone": Explains(measures=LATENCY | BACKLOG | PASSING | {"ledger.duplicated"}, codes=UNSEEN),
    "tasks_restarted": Explains(
        measures=LATENCY | BACKLOG | {"ledger.duplicated", "connect.rebalances", "mm2.record_count_gap"},
        codes=frozenset({Code.COUNTER_RESET, Code.NO_BASE, Code.LOW_COVERAGE, Code.TWIN_SERIES}),
    ),
    # Where the time goes.
    "time_before_mm2": _SLOW,
    "time_in_mm2": _SLOW,
    "time_after_mm2": _SLOW,
    "canaries_missing": _DROPPED,
    # Who should have told.
    "exporter_down": Explains(codes=UNSEEN),
    "connect_silent": Explains(codes=frozenset({Code.CONNECT_FAILED, Code.UNREADABLE})),
    "judged_offline": Explains(codes=frozenset({Code.OFFLINE})),
    "prometheus_silent": Explains(codes=frozenset({Code.PROMETHEUS_FAILED, Code.UNREADABLE, Code.API_WARNINGS})),
}
_PAGE = {
    "poll_zero": _DROPPED,
    "write_zero": _DROPPED,
    "slow": Explains(measures=LATENCY),
    "nothing_on_target": _DROPPED,
}
EXPLAINS: Mapping[str, Explains] = {**OURS, **{row: _PAGE[row] for row in PAGE_ROWS}}
OUR_ROWS = tuple(OURS)
