"""Was the intended load applied? Asked first: a generator that fell short cannot blame the system under test."""

from __future__ import annotations

import math
from collections.abc import Callable

from checks.measurement import Measurement
from checks.measures.e2e import likely, merged_latencies
from checks.measures.registry import Run, measures
from checks.reasons import Code, Reason
from run_record.histogram import LatencyHistogram
from scenarios.measures import MeasureSpec


def sent_records(run: Run) -> int | None:
    """Records handed to the producer, from the ledger, else from the last second that reached the disk."""
    counts = run.counts
    if counts is not None:
        return counts.sent
    rows = run.record.timeline
    return rows[-1].sent if rows and run.phase is None else None


@measures("load.achieved")
def achieved(run: Run, spec: MeasureSpec) -> Measurement:
    """Sent ÷ planned, in %."""
    source = "record/ledger.json: totals.sent ÷ record/manifest.json: planned_records"
    if run.phase is not None:
        source = f"record/ledger.json: phases.{run.phase}.sent ÷ record/manifest.json: phases, records"
    sent, planned = sent_records(run), run.planned_records
    ending = run.record.manifest.ending
    if ending is not None and ending.cut is not None and run.phase is None and sent is not None:
        source = "record/ledger.json: totals.sent ÷ record/manifest.json: ending.cut.due_records"
        planned = ending.cut.due_records
        sent = min(sent, planned)  # what was sent while the order to stop was under way
    if sent is None or planned == 0:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
    return Measurement(
        value=100.0 * sent / planned,
        unit=spec.unit,
        source=source,
        samples=planned,
        details=(("sent", sent), ("planned", planned)),
        at_least=run.worker_lost or run.record.ledger is None,
        note=_why_at_least(run),
    )


def _why_at_least(run: Run) -> Reason | None:
    if run.record.ledger is None:
        return Reason.of(run.without_ledger)
    return run.worker_lost_reason if run.worker_lost else None


def never_sent(run: Run) -> int:
    """Records of the plan that were due and never sent: their delay has no end, and leaving them out would make a
    generator that stopped look punctual. None of a load that was ended before its plan."""
    ending, counts = run.record.manifest.ending, run.counts
    if counts is None or run.aborted or run.stretch is not None or (ending is not None and ending.cut is not None):
        return 0
    return max(run.planned_records - counts.sent, 0)


@measures("load.send_delay_max")
def send_delay_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest sent − due of all load phases; a lower bound where records were never sent."""
    return _of_sent(run, spec, lambda histogram: histogram.max_ms)


@measures("load.send_delay_mean")
def send_delay_mean(run: Run, spec: MeasureSpec) -> Measurement:
    """Mean of sent − due; a lower bound where records were never sent."""
    return _of_sent(run, spec, lambda histogram: histogram.mean_ms)


def _of_sent(run: Run, spec: MeasureSpec, read: Callable[[LatencyHistogram], float]) -> Measurement:
    found = merged_latencies(run, spec, "send_delay")
    if isinstance(found, Measurement):
        return found
    missing = never_sent(run)
    return Measurement(
        value=read(found.histogram),
        unit=spec.unit,
        source=found.source,
        samples=found.histogram.count,
        at_least=missing > 0,
        note=Reason.of(Code.NEVER_SENT, missing=missing) if missing else None,
    )


@measures("source.ack_mean")
def ack_mean(run: Run, spec: MeasureSpec) -> Measurement:
    """Mean of the time between the producer and the source's answer."""
    found = merged_latencies(run, spec, "ack")
    if isinstance(found, Measurement):
        return found
    return Measurement(
        value=found.histogram.mean_ms, unit=spec.unit, source=found.source, samples=found.histogram.count
    )


@measures("load.send_delay_p99")
def send_delay_p99(run: Run, spec: MeasureSpec) -> Measurement:
    """99th percentile of sent − due of all load phases; a record that was never sent counts as infinitely late."""
    missing = never_sent(run)
    found = merged_latencies(run, spec, "send_delay", missing=missing)
    if isinstance(found, Measurement):
        return found
    value = found.histogram.percentile_ms(99, missing=missing)
    return Measurement(
        value=value,
        unit=spec.unit,
        source=found.source,
        samples=found.histogram.count + missing,
        note=Reason.of(Code.NEVER_SENT, missing=missing) if value == math.inf and missing else None,
        details=likely(found.histogram, 99, missing=missing),
    )
