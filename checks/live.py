"""Verdicts on a run that still goes on: what can be said by now, and of the rest that it is not judged yet.

A live verdict is provisional, and never better than what was measured:

- what is a level or a rate (a latency, a state, duplicates among what arrived) is judged on what there is *so far*;
- what only grows (acknowledged, arrived, polled, written) is a lower bound: it is GO once nothing can undo it, NOGO
  once nothing can mend it, and NOT_RUN in between;
- what is known of a part of the load (a criterion's `between` or `phase`) is judged when that part is over;
- everything else, and every measure that this module does not know, is NOT_RUN until the end.

The run as a whole is NOGO when a required criterion is, else NOT_RUN: nobody decides before the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from checks.evaluate import Evaluation, Result, evaluate
from checks.evidence import Evidence
from checks.measurement import Measurement
from checks.measures import Run, measure
from checks.reasons import Code, Reason
from checks.verdict import Verdict
from checks.verdict_file import instant, verdict_content
from checks.windows import NS_PER_S, Windows
from checks.words import span_text
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import PhasePlayed
from run_record.store import RunRecord
from run_record.timeline import TimelineRow
from scenarios.measures import MEASURES
from scenarios.scenario import Scenario

SO_FAR = frozenset(
    {
        "load.send_delay_max",
        "load.send_delay_p99",
        "ledger.backlog_max",
        "e2e.mean",
        "e2e.max",
        "e2e.p50",
        "e2e.p99",
        "connect.in_flight_max",
        "connect.offset_commit_max",
        "connect.offset_commit_failure",
        "connect.buffer_utilization",
        "connect.throttle_max",
        "connect.failed_tasks",
        "connect.task_errors",
        "connect.not_running",
        "mm2.latency_avg",
        "mm2.latency_max",
        "workers.cpu",
        "workers.memory",
        "workers.heap",
        "workers.network_drops",
    }
)
ONLY_GROWS = frozenset({"connect.poll_total", "connect.write_total", "mm2.topics_replicated"})
#: Reasons for which a criterion is not judged *yet*, rather than not at all.
WAITING = frozenset(
    {
        Code.NOT_YET,
        Code.NOT_COLLECTED,
        Code.LOAD_NOT_STARTED,
        Code.PLAN_NOT_SENT,
        Code.STRETCH_NOT_REACHED,
        Code.TOO_FEW_SAMPLES,
        Code.NO_LATENCIES,
        Code.LOAD_NOT_APPLIED,
        Code.LOAD_NOT_JUDGED,
        Code.STALE,
    }
)
SOURCE = "record/timeline.jsonl: {}"
#: What was due so many seconds ago should have been sent, and reported, by now.
SENT_WITHIN_S = 3
#: What Prometheus must have seen after a step before the step is judged: MM2's counters and gauges follow its load.
SETTLES_S = 20
#: A record that is still missing after so many seconds is missing; one that was sent just now is on its way.
STANDING_S = 10


@dataclass(frozen=True, kw_only=True)
class LiveRecord(RunRecord):
    """A record that is being written, with a ledger made of the timeline's last second."""

    rows: tuple[TimelineRow, ...] = ()
    histograms: Mapping[str, Mapping[str, LatencyHistogram]] = field(default_factory=dict)
    """By the phase that went on when they were kept: a step's last ones come in its rest."""
    source: Timeline | None = None

    @classmethod
    def of(
        cls,
        record: RunRecord,
        rows: tuple[TimelineRow, ...],
        histograms: Mapping[str, Mapping[str, LatencyHistogram]],
        source: Timeline | None = None,
    ) -> LiveRecord:
        """`source` keeps, from one picture to the next, what stretches of the load came to."""
        return cls(
            directory=record.directory,
            manifest=record.manifest,
            events=record.events,
            sealed=False,
            torn=(),
            rows=rows,
            histograms=histograms,
            source=source,
        )

    @cached_property
    def kept_histograms(self) -> tuple[tuple[int, Mapping[str, Any]], ...]:
        return tuple(self.source.kept) if self.source is not None else ()

    @cached_property
    def merged_histograms(self) -> dict[tuple[str, int, int], LatencyHistogram]:
        return self.source.merged if self.source is not None else {}

    @cached_property
    def timeline(self) -> tuple[TimelineRow, ...]:
        return self.rows

    @cached_property
    def ledger(self) -> dict[str, Any] | None:
        lost = [event for event in self.events if event["event"] == "worker_lost"]
        return {
            "totals": self._counts(self.rows).to_json(),
            "canary": {"sent": 0, "acked": 0, "arrived": 0, "missing": []},
            "phases": {},
            "streams": [],
            "last_errors": [],
            "unaccounted": [{"worker": one["worker"], "owned": one["owned"], "sent": 0} for one in lost],
        }

    @cached_property
    def latency(self) -> dict[str, dict[str, LatencyHistogram]]:
        found: dict[str, dict[str, LatencyHistogram]] = {}
        load = ""
        for phase in self.manifest.phases:
            load = phase.name if phase.kind == "load" else load
            for kind, histogram in self.histograms.get(phase.name, {}).items():
                found.setdefault(load, {}).setdefault(kind, LatencyHistogram()).merge(histogram)
        return found

    def counts(self, phase: str | None = None) -> Counts | None:
        """As far as they are known; of a load phase, by what the seconds before it had counted."""
        if phase is None:
            return self._counts(self.rows)
        after = [one.start_ns for one in self.manifest.of_kind("load")]
        played = self.manifest.phase(phase)
        if played is None:
            return None
        end_ns = min((start_ns for start_ns in after if start_ns > played.start_ns), default=None)
        own = tuple(r for r in self.rows if r.at_ns > played.start_ns and (end_ns is None or r.at_ns <= end_ns))
        before = [row for row in self.rows if row.at_ns <= played.start_ns]
        return self._counts(own, before[-1] if before else None)

    @property
    def phase(self) -> PhasePlayed | None:
        """The phase that goes on."""
        return self.manifest.phases[-1] if self.manifest.phases else None

    @staticmethod
    def _counts(rows: tuple[TimelineRow, ...], before: TimelineRow | None = None) -> Counts:
        """What has an answer by now. Missing is what has been so for a while, not what is on its way."""
        if not rows:
            return Counts()
        acked, failed, unknown, duplicated = (
            getattr(rows[-1], name) - (0 if before is None else getattr(before, name))
            for name in ("acked", "failed", "unknown", "duplicated")
        )
        standing = min((row.backlog for row in rows[-STANDING_S:]), default=0) if len(rows) >= STANDING_S else 0
        standing = min(standing, acked)
        return Counts(
            sent=acked + failed + unknown,
            acked=acked,
            failed=failed,
            unknown=unknown,
            arrived=acked - standing,
            late=standing,
            duplicated=duplicated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun(Run):
    """A run that goes on: neither whole nor broken off."""

    @property
    def aborted(self) -> bool:
        return False

    @property
    def crashed(self) -> bool:
        return False

    def of_phase(self, phase: str) -> Run:
        """Like a run's, as far as Prometheus knows of the phase by now."""
        windows = Windows.of_phase(self.record, self.environment, phase)
        known_s = None if self.windows is None else self.windows.watched_s
        return replace(self, phase=phase, windows=windows_until(windows, known_s))

    def settled(self, phase: str, *, rest_s: float) -> bool:
        """Whether all that will ever be known of a step is known: it is over, Prometheus has seen the time after it,
        and its backlog is gone, or its rest."""
        played, windows = self.record.manifest.phase(phase), self.of_phase(phase).windows
        if played is None or played.end_ns is None or windows is None or self.windows is None:
            return False
        known_s, ended_s = self.windows.watched_s, played.end_ns / NS_PER_S
        if known_s < ended_s + SETTLES_S:
            return False
        recovery = measure("backlog.recovery", self.of_phase(phase))
        return known_s >= ended_s + rest_s or (recovery.value is not None and not recovery.at_least)


def windows_until(windows: Windows | None, at_s: float | None) -> Windows | None:
    """The windows of a run that goes on, closed at an instant of which Prometheus already knows all."""
    if windows is None or at_s is None or at_s <= windows.start_s:
        return windows
    names = ("load_end_s", "drained_s", "watched_s", "counters_end_s")
    return replace(windows, **{name: min(getattr(windows, name), at_s) for name in names})


def checkpoints_reached(run: LiveRun, scenario: Scenario) -> list[str]:
    """Names of the files that keep the state at the checkpoints behind us: "checkpoint-T+1h.md". A checkpoint is where
    a criterion's stretch of the load ends, and it is behind us when Prometheus knows of it."""
    edges_s = sorted({c.between[1] for c in scenario.criteria if c.between is not None})
    if run.windows is None:
        return []
    scale = float(Fraction(run.record.manifest.rehearsal))
    known_s = run.windows.watched_s - run.windows.start_s
    return [f"checkpoint-T+{span_text(s).replace(chr(0xA0), '')}.md" for s in edges_s if known_s >= s * scale]


def no_evidence(directory: Path, profile: str) -> Evidence:
    """Before the first look."""
    return Evidence(directory=directory, index={"profile": profile, "answers": []})


def evaluate_live(run: LiveRun, scenario: Scenario) -> Evaluation:
    """Judges what can be judged by now."""
    evaluation = evaluate(run, scenario, measure=_measure)
    results = tuple(_waiting(result) for result in evaluation.results)
    deciding = tuple(r.criterion.id for r in results if r.required and r.verdict is Verdict.NOGO)
    required = sum(result.required for result in results)
    return replace(
        evaluation,
        results=results,
        verdict=Verdict.NOGO if deciding else Verdict.NOT_RUN,
        reason=Reason.of(Code.DECIDED_BY, count=len(deciding), of=required) if deciding else Reason.of(Code.NOT_YET),
        deciding=deciding,
    )


def live_content(run: LiveRun, scenario: Scenario, evaluation: Evaluation) -> dict[str, Any]:
    """live/verdict.json: the form of verdict.json, with what it is a picture of, the steps that are over, and no exit
    code."""
    record = run.record
    phase = record.manifest.phases[-1].name if record.manifest.phases else "prepare"
    row = record.timeline[-1] if record.timeline else None
    at_ns = record.manifest.started_at_ns if row is None else row.at_ns
    content = verdict_content(evaluation, record.manifest, "")
    steps = {name: verdict.value for name, verdict in judged_steps(run, scenario, evaluation).items()}
    as_of = instant(at_ns / NS_PER_S)
    return content | {"live": True, "steps": steps, "phase": phase, "as_of": as_of, "exit_code": None}


def judged_steps(run: LiveRun, scenario: Scenario, evaluation: Evaluation) -> dict[str, Verdict]:
    """What a staircase's steps came to, as far as they are over and all that can be known of them is."""
    rest_s = scenario.staircase.rest if scenario.staircase is not None else 0.0
    return {name: verdict for name, verdict in evaluation.steps.items() if run.settled(name, rest_s=rest_s)}


def _waiting(result: Result) -> Result:
    if result.verdict is not Verdict.INCONCLUSIVE or result.reason.code not in WAITING:
        return result
    reason = Reason.of(Code.NOT_YET) if result.reason.code is Code.PLAN_NOT_SENT else result.reason
    return replace(result, verdict=Verdict.NOT_RUN, reason=reason)


# Measures.


def _measure(name: str, run: Run) -> Measurement:
    # What Prometheus and Connect say is not known before the first look.
    unknown_yet = MEASURES[name].asked and not run.evidence.index["answers"]
    if unknown_yet or (run.phase is not None and not _is_over(run)):
        return Measurement.missing(Code.NOT_YET, unit=MEASURES[name].unit, source=name)
    if run.stretch is not None or run.phase is not None or name in SO_FAR:
        return measure(name, run)
    if not run.record.timeline or run.windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=MEASURES[name].unit, source=name)
    if name in COUNTED:
        return COUNTED[name](run.record.timeline)
    if name in ONLY_GROWS:
        return _lower_bound(measure(name, run))
    return Measurement.missing(Code.NOT_YET, unit=MEASURES[name].unit, source=name)


def _is_over(run: Run) -> bool:
    """Whether the phase looked at is over, and Prometheus knows of it to its end."""
    played = run.record.manifest.phase(run.phase or "")
    if played is None or played.end_ns is None or run.windows is None:
        return False
    return run.windows.watched_s >= played.end_ns / NS_PER_S


def _lower_bound(measurement: Measurement) -> Measurement:
    if measurement.value is None:
        return measurement
    least = measurement.value if measurement.bounds is None else measurement.bounds[0]
    return replace(measurement, value=least, bounds=None, at_least=True, note=Reason.of(Code.NOT_YET))


def _achieved(rows: tuple[TimelineRow, ...]) -> Measurement:
    """Sent ÷ due a few seconds ago: while the load goes on, what is due just now may be on its way."""
    due = rows[-1 - SENT_WITHIN_S].wanted if len(rows) > SENT_WITHIN_S else 0
    source = SOURCE.format(f"sent ÷ wanted {SENT_WITHIN_S} s before")
    if due == 0:
        return Measurement.missing(Code.NOT_YET, unit="%", source=source)
    return Measurement(value=min(100.0 * rows[-1].sent / due, 100.0), unit="%", source=source, samples=due)


def _growing(field_name: str, samples: str) -> Callable[[tuple[TimelineRow, ...]], Measurement]:
    def measured(rows: tuple[TimelineRow, ...]) -> Measurement:
        return _lower_bound(
            Measurement(
                value=getattr(rows[-1], field_name),
                unit="records",
                source=SOURCE.format(field_name),
                samples=getattr(rows[-1], samples),
            )
        )

    return measured


def _duplicated(rows: tuple[TimelineRow, ...]) -> Measurement:
    return _of_those(rows[-1].duplicated, rows[-1].arrived, "duplicated")


def _send_errors(rows: tuple[TimelineRow, ...]) -> Measurement:
    return _of_those(rows[-1].failed + rows[-1].unknown, rows[-1].sent, "failed + unknown")


def _of_those(value: int, samples: int, field_name: str) -> Measurement:
    """A count of bad ones among those seen so far; none seen, nothing to say."""
    source = SOURCE.format(field_name)
    if samples == 0:
        return Measurement.missing(Code.NOT_YET, unit="records", source=source)
    return Measurement(value=value, unit="records", source=source, samples=samples)


COUNTED: dict[str, Callable[[tuple[TimelineRow, ...]], Measurement]] = {
    "load.achieved": _achieved,
    "ledger.acked": _growing("acked", "sent"),
    "ledger.arrived": _growing("arrived", "acked"),
    "ledger.duplicated": _duplicated,
    "ledger.send_errors": _send_errors,
}


# The timeline, as it grows.


@dataclass(slots=True)
class Timeline:
    """Reads a growing timeline.jsonl, each line once."""

    path: Path
    rows: list[TimelineRow] = field(default_factory=list)
    histograms: dict[str, dict[str, LatencyHistogram]] = field(default_factory=dict)
    kept: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    """When histograms were kept, and their content as it was written: a thousand of them are small only so."""
    merged: dict[tuple[str, int, int], LatencyHistogram] = field(default_factory=dict)
    """Of stretches that are over."""
    _read: int = 0

    def read(self) -> None:
        """Takes up what was written since the last call; a line that is being written is left for the next."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._read)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.splitlines():
            row = TimelineRow.from_line(line)
            if row.histograms:
                self.kept.append((row.at_ns, row.histograms))
            for kind, content in (row.histograms or {}).items():
                kept = self.histograms.setdefault(row.phase, {})
                kept.setdefault(kind, LatencyHistogram()).merge(LatencyHistogram.from_json(content))
            self.rows.append(row.without_histograms())
