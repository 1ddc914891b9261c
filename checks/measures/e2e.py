"""End-to-end latency, arrived − due, from our own histograms: exact counts, one clock at both ends.

Percentiles exist nowhere in MM2's metrics. An acknowledged record that never arrived counts as infinitely late in a
percentile (leaving it out would make a worse run look faster), and makes mean and maximum lower bounds. Where part of
the arrivals is not known at all (a load worker vanished, a mirror could not be read), there is no latency.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from checks.measurement import Measurement, Window
from checks.measures.ledger import partial
from checks.measures.registry import MeasureFunction, Run, measures
from checks.measures.timeline_guards import timeline_objection
from checks.reasons import Code, Reason
from run_record.histogram import LatencyHistogram
from scenarios.measures import MeasureSpec

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Histograms of all load phases in one, and where they came from."""

    histogram: LatencyHistogram
    source: str


def all_latencies(run: Run, kind: str) -> LatencyHistogram:
    """A kind's histogram over all load phases, or of the phase looked at; empty where the record has none of it."""
    together = LatencyHistogram()
    for phase, kinds in run.record.latency.items():
        if kind in kinds and run.phase in (None, phase):
            together.merge(kinds[kind])
    return together


def merged_latencies(run: Run, spec: MeasureSpec, kind: str, *, missing: int = 0) -> Latencies | Measurement:
    """The histogram of a kind over all load phases, or the measurement that says why there is none.

    An empty one is an answer only when it is known of `missing` records that they never arrived.
    """
    source = f"record/latency.json: {kind}" if run.phase is None else f"record/latency.json: {run.phase}.{kind}"
    if run.record.ledger is None:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
    if unknown := partial(run, of_arrivals=kind == "e2e"):
        return Measurement(value=None, unit=spec.unit, source=source, why_not=unknown)
    if run.stretch is not None and (hole := timeline_objection(run, run.stretch)):
        return Measurement(value=None, unit=spec.unit, source=source, window=run.stretch, why_not=hole)
    if run.stretch is not None:
        source = f"record/timeline.jsonl: histograms.{kind} of the stretch, by arrival"
        together = _of_stretch(run, run.stretch, kind)
    else:
        together = all_latencies(run, kind)
    if together.count + missing == 0:
        return Measurement.missing(Code.NO_LATENCIES, unit=spec.unit, source=source)
    if together.negative:
        return Measurement.missing(Code.NEGATIVE_LATENCIES, unit=spec.unit, source=source, count=together.negative)
    return Latencies(histogram=together, source=source)


def _of_stretch(run: Run, stretch: Window, kind: str) -> LatencyHistogram:
    """The histograms that the timeline keeps every 10 s (60 s after the first hour), of what arrived in a stretch."""
    start_ns, end_ns = (round(edge_s * NS_PER_S) for edge_s in (stretch.start_s, stretch.end_s))
    return run.record.histogram_between(kind, start_ns, end_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """How many acknowledged records never arrived, of the stretch looked at or of all: at most, and how many of those
    may have been missing before it already."""

    most: int
    before: int = 0


def missing_records(run: Run) -> Missing:
    """What never arrived was missing at every instant from its acknowledgement on. So of a stretch no more is missing
    than at its end, nor than at any instant after; and what was missing at its start may be of before."""
    counts = run.counts
    missing = counts.backlog if counts is not None else 0
    stretch = run.stretch
    if stretch is None or missing == 0:
        return Missing(most=missing)
    rows = run.record.timeline
    ahead = [row.backlog for row in rows if row.at_ns / NS_PER_S <= stretch.start_s]
    since = [row.backlog for row in rows if row.at_ns / NS_PER_S >= stretch.end_s]
    most = min([missing, *since])
    return Missing(most=most, before=min(most, ahead[-1] if ahead else 0))


@measures("e2e.mean")
def mean(run: Run, spec: MeasureSpec) -> Measurement:
    """Mean of what arrived; a lower bound while records are missing, which have waited longer than that already."""
    return _of_arrived(run, spec, lambda histogram: histogram.mean_ms)


@measures("e2e.max")
def largest(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest of what arrived; a lower bound while records are missing."""
    return _of_arrived(run, spec, lambda histogram: histogram.max_ms)


def _of_arrived(run: Run, spec: MeasureSpec, read: Callable[[LatencyHistogram], float]) -> Measurement:
    found = merged_latencies(run, spec, "e2e")
    if isinstance(found, Measurement):
        return found
    missing = missing_records(run).most
    return Measurement(
        value=read(found.histogram),
        unit=spec.unit,
        source=found.source,
        samples=found.histogram.count,
        at_least=missing > 0,
        note=Reason.of(Code.NEVER_ARRIVED, missing=missing) if missing else None,
    )


def likely(histogram: LatencyHistogram, percentile: float, *, missing: int = 0) -> tuple[tuple[str, float], ...]:
    """Details that say how far a percentile of so many records is to be trusted."""
    low_ms, high_ms = histogram.percentile_interval_ms(percentile, missing=missing)
    return ("likely_low", low_ms), ("likely_high", high_ms)


def _percentile(percentile: float) -> MeasureFunction:
    def measured(run: Run, spec: MeasureSpec) -> Measurement:
        missing = missing_records(run)
        found = merged_latencies(run, spec, "e2e", missing=missing.most)
        if isinstance(found, Measurement):
            return found
        value = found.histogram.percentile_ms(percentile, missing=missing.most)
        never = value == math.inf and missing.most > 0
        least = found.histogram.percentile_ms(percentile, missing=missing.most - missing.before)
        # If those that may be of before make all the difference, a lower bound is all that is known.
        unsure = never and math.isfinite(least)
        return Measurement(
            value=least if unsure else value,
            unit=spec.unit,
            source=found.source,
            samples=found.histogram.count + missing.most,
            at_least=unsure,
            note=Reason.of(Code.NEVER_ARRIVED, missing=missing.most) if never else None,
            details=() if unsure else likely(found.histogram, percentile, missing=missing.most),
        )

    return measured


measures("e2e.p50")(_percentile(50))
measures("e2e.p99")(_percentile(99))
