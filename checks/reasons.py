"""Why a verdict is what it is: a code and its figures. Sentences belong to the report's language, not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

Param = str | int | float


class Code(StrEnum):
    """Every reason there is; each language's catalogue words each of them (a test compares)."""

    # Measured.
    GO_MET = "go_met"
    BETWEEN = "between"
    NOGO_MET = "nogo_met"
    INTERVAL_IN_GO = "interval_in_go"
    INTERVAL_IN_NOGO = "interval_in_nogo"
    INTERVAL_ACROSS = "interval_across"
    GO_MISSED = "go_missed"
    NEVER_ARRIVED = "never_arrived"
    NEVER_SENT = "never_sent"

    # Measured in part.
    ONLY_AT_LEAST = "only_at_least"
    LATE_MAY_BE_LOST = "late_may_be_lost"
    NOT_RECOVERED = "not_recovered"

    # Not measured: the record.
    RECORD_UNFINISHED = "record_unfinished"
    LOAD_NOT_STARTED = "load_not_started"
    RECORD_UNRELIABLE = "record_unreliable"
    NOT_TOLD = "not_told"
    EVIDENCE_PASSED_OVER = "evidence_passed_over"
    LEDGER_UNBALANCED = "ledger_unbalanced"
    NO_LATENCIES = "no_latencies"
    NEGATIVE_LATENCIES = "negative_latencies"
    CLOCK_STEPPED = "clock_stepped"
    WORKER_CLOCK_STEPPED = "worker_clock_stepped"
    CLOCK_SKEWED = "clock_skewed"
    CLOCKS_DISAGREE = "clocks_disagree"
    BELOW_OURS = "below_ours"
    BELOW_ARRIVED = "below_arrived"
    TOO_FEW_SAMPLES = "too_few_samples"
    WORKER_LOST = "worker_lost"
    STRETCH_NOT_REACHED = "stretch_not_reached"
    PHASE_NOT_PLAYED = "phase_not_played"
    UNKNOWN_NODE = "unknown_node"
    READ_REFUSED = "read_refused"
    LOST_PLACE = "lost_place"
    MISPLACED = "misplaced"
    REKEYED = "rekeyed"
    SENDER_HELD_UP = "sender_held_up"
    STOOD_STILL = "stood_still"
    LOAD_HELD = "load_held"
    FOREIGN_ARRIVALS = "foreign_arrivals"
    SECOND_CONNECTOR = "second_connector"
    NEEDS_ENVELOPES = "needs_envelopes"

    # Not MM2's, or not told whose: what lay on both clusters.
    MIRROR_GONE = "mirror_gone"
    MIRROR_REMADE = "mirror_remade"
    MIRROR_SMALLER = "mirror_smaller"
    MIRROR_TRUNCATED = "mirror_truncated"
    MIRROR_TRIMMED = "mirror_trimmed"
    MIRROR_TRIM_UNTOLD = "mirror_trim_untold"
    MIRROR_ABSENT = "mirror_absent"
    SOURCE_CHANGED = "source_changed"
    PURGED = "purged"
    NOT_READ = "not_read"
    READER_STOOD_STILL = "reader_stood_still"
    DUPLICATES_UNTOLD = "duplicates_untold"
    BEHIND_READER = "behind_reader"
    DUPLICATES_AT_SOURCE = "duplicates_at_source"
    CORRUPTED_AT_SOURCE = "corrupted_at_source"
    CLOSING_UNTOLD = "closing_untold"
    CLOSING_MISSING = "closing_missing"
    CLOSING_UNREADABLE = "closing_unreadable"

    # Not measured: Prometheus and Connect.
    PROMETHEUS_FAILED = "prometheus_failed"
    CONNECT_FAILED = "connect_failed"
    CONNECT_ASKED_LATE = "connect_asked_late"
    NOT_COLLECTED = "not_collected"
    OFFLINE = "offline"
    UNREADABLE = "unreadable"
    API_WARNINGS = "api_warnings"
    NO_SERIES = "no_series"
    ONLY_NAN = "only_nan"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    NO_SCRAPES = "no_scrapes"
    LOW_COVERAGE = "low_coverage"
    STALE = "stale"
    STARTS_LATE = "starts_late"
    HOLE = "hole"
    NAN_NOT_KEPT = "nan_not_kept"
    NO_BASE = "no_base"
    TWIN_SERIES = "twin_series"
    EXPORTER_MISSING = "exporter_missing"
    WORKERS_UNTOLD = "workers_untold"
    UP_MISSING = "up_missing"
    MIXED_PROFILES = "mixed_profiles"
    PARTITIONS_MISSING = "partitions_missing"
    TASKS_MISSING = "tasks_missing"
    COUNTER_RESET = "counter_reset"
    ONE_PARTITION = "one_partition"
    NOTHING_POLLED = "nothing_polled"
    WRITTEN_EXCEEDS_POLLED = "written_exceeds_polled"
    OURS_AMONG_OTHERS = "ours_among_others"
    NO_GROWTH = "no_growth"
    CANARY_IN_GAUGE = "canary_in_gauge"

    # Not judged.
    NOT_YET = "not_yet"
    LOAD_NOT_APPLIED = "load_not_applied"
    LOAD_NOT_JUDGED = "load_not_judged"
    PLAN_NOT_SENT = "plan_not_sent"
    DRAIN_CUT_SHORT = "drain_cut_short"
    NO_BASELINE = "no_baseline"
    BASELINE_REFUSED = "baseline_refused"
    NO_STEP_JUDGED = "no_step_judged"
    ALL_STEPS_GO = "all_steps_go"
    STEP_UNKNOWN = "step_unknown"
    STEP_NOT_CONFIRMED = "step_not_confirmed"
    MEASURE_CRASHED = "measure_crashed"

    # The run as a whole.
    ALL_GO = "all_go"
    DECIDED_BY = "decided_by"
    ABORTED = "aborted"
    CUT_SHORT = "cut_short"
    CRASHED = "crashed"
    NO_CRITERIA = "no_criteria"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code with what its sentence needs. Every parameter is finite: it goes into JSON."""

    code: Code
    params: Mapping[str, Param] = field(default_factory=dict)

    @classmethod
    def of(cls, code: Code, **params: Param) -> Self:
        return cls(code=code, params=params)

    def to_json(self) -> dict[str, object]:
        return {"code": self.code.value, "params": dict(self.params)}
