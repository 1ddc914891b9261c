"""The ledger's own measures: exact counts of our records, from both ends of the chain.

A record that is *late* may still turn out to be lost, duplicated or damaged. So while any is late, `lost` is a lower
bound: some lost is NOGO, none lost proves nothing. When a load worker vanished, all that it owned is unknown, and
every count is a lower bound. When the target did not let us read a mirror, nothing can be said of what did not arrive.
Only what is MM2's or a cluster's is counted against them: not what our reader did not read, nor what the source holds
twice (docs/measuring.md, "Who is to blame").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from checks.measurement import Measurement
from checks.measures.closing import (
    absent_reason,
    behind_reader,
    held_told,
    mirror_reason,
    purged_reason,
    unknown_arrivals,
)
from checks.measures.registry import MeasureFunction, Run, measures
from checks.measures.timeline_guards import timeline_objection
from checks.reasons import Code, Reason
from run_record.counts import Counts
from scenarios.measures import MeasureSpec

SOURCE = "record/ledger.json: totals.{}"
SOURCE_OF_PHASE = "record/ledger.json: phases.{phase}.{field}"
#: What is counted on arrivals: lower bounds where some could not be read.
SEEN_ON_ARRIVAL = frozenset({"arrived", "duplicated", "reordered", "corrupted", "phantom"})
#: What is counted on missing arrivals: unknown where some could not be read.
SEEN_MISSING = frozenset({"lost", "late", "acked − totals.arrived"})


def partial(run: Run, *, of_arrivals: bool) -> Reason | None:
    """Why a count is a lower bound, if it is."""
    if run.worker_lost:
        return run.worker_lost_reason
    return refused(run) if of_arrivals else None


def refused(run: Run) -> Reason | None:
    """Why arrivals are not all known, if they are not."""
    counts = run.counts
    if (unknown := unknown_arrivals(run)) is not None:
        return unknown
    if run.lost_places and counts is not None and counts.backlog:
        return Reason.of(Code.LOST_PLACE, place=run.lost_places[0], count=len(run.lost_places))
    if not run.read_refused:
        return None
    return Reason.of(Code.READ_REFUSED, topic=run.read_refused[0], count=len(run.read_refused))


def source_of(run: Run, field: str) -> str:
    """Where a count stands."""
    if run.phase is None:
        return SOURCE.format(field)
    return SOURCE_OF_PHASE.format(phase=run.phase, field=field.replace("totals.", f"phases.{run.phase}."))


def _counted(run: Run, spec: MeasureSpec, field: str) -> Counts | Measurement:
    source = source_of(run, field)
    counts = run.counts
    if counts is None:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
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
    if field in SEEN_MISSING and (reason := refused(run)) and reason.code is not Code.NOT_READ:
        return Measurement(value=None, unit=spec.unit, source=source, samples=counts.acked, why_not=reason)
    return counts


def _ledger(
    run: Run, spec: MeasureSpec, field: str, value: int, samples: int, *, without: tuple[str, ...] = ()
) -> Measurement:
    """`without`: what was taken off the field."""
    note = partial(run, of_arrivals=field in SEEN_ON_ARRIVAL)
    field = "".join([field, *(f" − totals.{name}" for name in without)])
    return Measurement(
        value=value, unit=spec.unit, source=source_of(run, field), samples=samples, at_least=note is not None, note=note
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
measures("ledger.reordered")(_count("reordered", of="arrived"))
measures("ledger.phantom")(_count("phantom", of="sent"))


@measures("ledger.arrived")
def arrived(run: Run, spec: MeasureSpec) -> Measurement:
    """On the target when the run ended: of what arrived on a mirror that is not what it was, what was found there."""
    counts = _counted(run, spec, "arrived")
    if isinstance(counts, Measurement):
        return counts
    changed = mirror_reason(run)
    if changed is None:
        found = _ledger(run, spec, "arrived", counts.on_target, counts.acked)
        exact = found.note is None and counts.arrived < counts.acked
        return replace(found, note=absent_reason(run)) if exact else found
    source = source_of(run, "arrived − totals.gone + totals.unread")
    if not held_told(run):
        return Measurement(value=None, unit=spec.unit, source=source, samples=counts.acked, why_not=changed)
    note = run.worker_lost_reason if run.worker_lost else None
    return Measurement(
        value=counts.on_target + counts.unread,
        unit=spec.unit,
        source=source,
        samples=counts.acked,
        at_least=note is not None,
        note=note or changed,
    )


@measures("ledger.late")
def late(run: Run, spec: MeasureSpec) -> Measurement:
    """Late, and not because our own reader did not read it."""
    return _without_unread(run, spec, "late", lambda counts: counts.late)


@measures("ledger.duplicated")
def duplicated(run: Run, spec: MeasureSpec) -> Measurement:
    """Arrived again, and not because the source holds it twice; a lower bound where that is not told."""
    counts = _counted(run, spec, "duplicated")
    if isinstance(counts, Measurement):
        return counts
    ours, untold = counts.duplicated_at_source, counts.duplicated_untold
    without = ("duplicated_at_source", "duplicated_untold") if ours or untold else ()
    value = counts.duplicated - ours - untold
    found = _ledger(run, spec, "duplicated", value, counts.arrived, without=without)
    if found.at_least:
        return found
    if untold:
        return replace(found, at_least=True, note=Reason.of(Code.DUPLICATES_UNTOLD, count=untold))
    behind = behind_reader(run)
    return found if behind is None else replace(found, at_least=True, note=behind)


@measures("ledger.corrupted")
def corrupted(run: Run, spec: MeasureSpec) -> Measurement:
    """Altered, and not at the source already."""
    counts = _counted(run, spec, "corrupted")
    if isinstance(counts, Measurement):
        return counts
    ours = counts.corrupted_at_source
    without = ("corrupted_at_source",) if ours else ()
    return _ledger(run, spec, "corrupted", counts.corrupted - ours, counts.arrived, without=without)


def _without_unread(run: Run, spec: MeasureSpec, field: str, read: Callable[[Counts], int]) -> Measurement:
    """A count of missing records without those that lie on the target, where our own reader did not read them: these
    may have come in time, so it is a lower bound while there are any."""
    counts = _counted(run, spec, field)
    if isinstance(counts, Measurement):
        return counts
    if not counts.unread:
        found = _ledger(run, spec, field, read(counts), counts.acked)
        return replace(found, note=absent_reason(run)) if found.note is None and read(counts) else found
    found = _ledger(run, spec, field, read(counts) - counts.unread, counts.acked, without=("unread",))
    return found if found.at_least else replace(found, at_least=True, note=unknown_arrivals(run))


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
    if counts.late == 0 and not measurement.at_least:
        return replace(measurement, note=purged_reason(run))
    if measurement.at_least:
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
    return _without_unread(run, spec, "acked − totals.arrived", lambda counts: counts.backlog)


@measures("ledger.backlog_max")
def backlog_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest of the timeline's rows; a run that was killed has them too, up to its end."""
    source = "record/timeline.jsonl: max(backlog)"
    if run.windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=source)
    start_s = run.windows.start_s if run.stretch is None else run.stretch.start_s
    end_s = math.inf if run.phase is None else run.windows.watched_s
    end_s = end_s if run.stretch is None else run.stretch.end_s
    rows = [row for row in run.record.timeline if start_s <= row.at_ns / 1e9 <= end_s]
    if not rows:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
    if reason := refused(run) or timeline_objection(run, run.stretch or run.windows.gauges):
        return Measurement(value=None, unit=spec.unit, source=source, why_not=reason)
    return Measurement(
        value=max(row.backlog for row in rows),
        unit=spec.unit,
        source=source,
        samples=len(rows),
        window=run.stretch or run.windows.gauges,
        at_least=run.crashed or run.worker_lost,
        note=Reason.of(run.without_ledger) if run.crashed else partial(run, of_arrivals=False),
    )


@measures("target.topics_arrived")
def topics_arrived(run: Run, spec: MeasureSpec) -> Measurement:
    """Topics of the plan with at least one arrival."""
    source = "record/ledger.json: streams, topics with counts.arrived > 0"
    ledger = run.record.ledger
    if ledger is None:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
    streams = ((stream["topic"], Counts(**stream["counts"])) for stream in ledger["streams"])
    topics = {topic for topic, counts in streams if counts.on_target + counts.unread > 0}
    note = partial(run, of_arrivals=True)
    return Measurement(
        value=len(topics),
        unit=spec.unit,
        source=source,
        samples=len(run.record.manifest.topics),
        at_least=note is not None,
        note=note,
    )
