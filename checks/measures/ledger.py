"""The ledger's own measures: exact counts of our records, from both ends of the chain.

A record that is *late* may still turn out to be lost, duplicated or damaged. So while any is late, `lost` is a lower
bound: some lost is NOGO, none lost proves nothing. When a load worker vanished, all that it owned is unknown, and
every count is a lower bound.
"""

from __future__ import annotations

from checks.measurement import Measurement
from checks.measures.registry import MeasureFunction, Run, measures
from checks.reasons import Code, Reason
from run_record.counts import Counts
from scenarios.measures import MeasureSpec

SOURCE = "record/ledger.json: totals.{}"


def _counted(run: Run, spec: MeasureSpec, field: str) -> Counts | Measurement:
    source = SOURCE.format(field)
    counts = run.counts
    if counts is None:
        return Measurement.missing(Code.RECORD_UNFINISHED, unit=spec.unit, source=source)
    if not counts.balanced:
        return Measurement.missing(
            Code.LEDGER_UNBALANCED,
            unit=spec.unit,
            source=source,
            sent=counts.sent,
            answered=counts.acked + counts.failed + counts.unknown,
            acked=counts.acked,
            placed=counts.arrived + counts.late + counts.lost,
        )
    return counts


def _ledger(run: Run, spec: MeasureSpec, field: str, value: int, samples: int) -> Measurement:
    note: Reason | None = None
    if run.worker_lost:
        note = Reason.of(Code.WORKER_LOST)
    return Measurement(
        value=value, unit=spec.unit, source=SOURCE.format(field), samples=samples, at_least=note is not None, note=note
    )


def _count(name: str, *, of: str) -> MeasureFunction:
    """A measure that is one count; `of` is the count that it was looked for in."""

    def measured(run: Run, spec: MeasureSpec) -> Measurement:
        counts = _counted(run, spec, name)
        if isinstance(counts, Measurement):
            return counts
        return _ledger(run, spec, name, getattr(counts, name), getattr(counts, of))

    return measured


measures("ledger.acked")(_count("acked", of="sent"))
measures("ledger.arrived")(_count("arrived", of="acked"))
measures("ledger.late")(_count("late", of="acked"))
measures("ledger.duplicated")(_count("duplicated", of="arrived"))
measures("ledger.reordered")(_count("reordered", of="arrived"))
measures("ledger.corrupted")(_count("corrupted", of="arrived"))
measures("ledger.phantom")(_count("phantom", of="sent"))


@measures("ledger.send_errors")
def send_errors(run: Run, spec: MeasureSpec) -> Measurement:
    """Refused or unanswered."""
    counts = _counted(run, spec, "failed + unknown")
    if isinstance(counts, Measurement):
        return counts
    return _ledger(run, spec, "failed + totals.unknown", counts.failed + counts.unknown, counts.sent)


@measures("ledger.lost")
def lost(run: Run, spec: MeasureSpec) -> Measurement:
    """Proven lost; a lower bound while records are late."""
    counts = _counted(run, spec, "lost")
    if isinstance(counts, Measurement):
        return counts
    measurement = _ledger(run, spec, "lost", counts.lost, counts.acked)
    if counts.late == 0 or measurement.at_least:
        return measurement
    return Measurement(
        value=counts.lost,
        unit=spec.unit,
        source=measurement.source,
        samples=counts.acked,
        at_least=True,
        note=Reason.of(Code.LATE_MAY_BE_LOST, late=counts.late),
    )


@measures("ledger.backlog_end")
def backlog_end(run: Run, spec: MeasureSpec) -> Measurement:
    """Acknowledged − arrived when the drain ended: what is late, and what is lost."""
    counts = _counted(run, spec, "acked − arrived")
    if isinstance(counts, Measurement):
        return counts
    return _ledger(run, spec, "acked − totals.arrived", counts.backlog, counts.acked)


@measures("ledger.backlog_max")
def backlog_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest of the timeline's rows; a run that was killed has them too, up to its end."""
    source = "record/timeline.jsonl: max(backlog)"
    rows = [row for row in run.record.timeline if run.windows is None or row.at_ns / 1e9 >= run.windows.start_s]
    if run.windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=source)
    if not rows:
        return Measurement.missing(Code.RECORD_UNFINISHED, unit=spec.unit, source=source)
    return Measurement(
        value=max(row.backlog for row in rows),
        unit=spec.unit,
        source=source,
        samples=len(rows),
        window=run.windows.gauges,
        at_least=run.crashed or run.worker_lost,
        note=Reason.of(Code.RECORD_UNFINISHED) if run.crashed else None,
    )


@measures("target.topics_arrived")
def topics_arrived(run: Run, spec: MeasureSpec) -> Measurement:
    """Topics of the plan with at least one arrival."""
    source = "record/ledger.json: streams, topics with counts.arrived > 0"
    ledger = run.record.ledger
    if ledger is None:
        return Measurement.missing(Code.RECORD_UNFINISHED, unit=spec.unit, source=source)
    topics = {stream["topic"] for stream in ledger["streams"] if stream["counts"]["arrived"] > 0}
    return Measurement(value=len(topics), unit=spec.unit, source=source, samples=len(run.record.manifest.topics))
