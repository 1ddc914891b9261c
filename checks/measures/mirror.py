"""What MM2's own mirror metrics say, per mirrored partition, on the topics of the plan.

`replication-latency-ms` runs from the record's timestamp (CreateTime) to the target's acknowledgement, on the worker's
clock. Its `-avg` and `-max` span two Kafka metric windows of 30 s (SampledStat, `metrics.sample.window.ms` ×
`metrics.num.samples`): the values of the last 30 to 60 s, then NaN. The silence before the load keeps the canary out
of them, the watch after it leaves time to read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from checks.measurement import Measurement
from checks.measures.connect import largest_value
from checks.measures.counters import Counted, counted
from checks.measures.e2e import all_latencies
from checks.measures.ledger import SOURCE as LEDGER_SOURCE
from checks.measures.ledger import partial
from checks.measures.registry import Run, measures
from checks.measures.scraped import Scraped, gauge, scraped
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.series import Series
from scenarios.measures import MeasureSpec

KAFKA_METRIC_WINDOW_S = 30.0


#: MM2's clock stops at the target's acknowledgement, ours when the record is read: later, on one clock. By more than
#: this the other way round, the two clocks differ.
CLOCKS_APART_MS = 1000.0
CLOCKS_APART_SHARE = 0.2


def latency_gauge(run: Run, spec: MeasureSpec, found: Scraped, value: float | None) -> Measurement:
    """The measurement of a latency that MM2 took on its worker's clock, from timestamps of the producer's."""
    source, window = found.metric.query, found.window
    ours_ms, half_ms = largest_of_ours_ms(run), _median_of_ours_ms(run)
    if value is None:
        return gauge(found, spec, value)
    if ours_ms is not None and value > ours_ms + max(CLOCKS_APART_MS, CLOCKS_APART_SHARE * ours_ms):
        return Measurement.missing(
            Code.CLOCKS_DISAGREE, unit=spec.unit, source=source, window=window, mm2_ms=value, ours_ms=ours_ms
        )
    # The largest that it shows, whatever is asked of it: half of the records cannot have taken longer than any.
    largest_ms = max(value, largest_value(found.within()) or 0.0)
    if half_ms is not None and half_ms > largest_ms + max(CLOCKS_APART_MS, CLOCKS_APART_SHARE * half_ms):
        return Measurement.missing(
            Code.BELOW_OURS, unit=spec.unit, source=source, window=window, mm2_ms=largest_ms, ours_ms=half_ms
        )
    return gauge(found, spec, value)


def _median_of_ours_ms(run: Run) -> float | None:
    """Half of the records that arrived took longer than this from when they were sent; None without any, and for a step
    of a staircase: what is late arrives in the rest behind it, and its gauges may have forgotten by then."""
    if run.phase is not None:
        return None
    together = all_latencies(run, "e2e_from_sent")
    return together.percentile_ms(50) if together.count else None


def largest_of_ours_ms(run: Run) -> float | None:
    """Our largest end-to-end latency, if every record of the run is in it and MM2's gauges show no others: a canary's,
    in a plan without silence before its load."""
    silent = any(phase.kind == "silence" for phase in run.record.manifest.phases)
    counts = run.counts
    if not silent or counts is None or counts.backlog or run.worker_lost or run.read_refused:
        return None
    largest = [kinds["e2e"].max_ms for kinds in run.record.latency.values() if "e2e" in kinds and kinds["e2e"].count]
    return max(largest, default=None)


def _record_counts(run: Run, spec: MeasureSpec) -> Counted | Measurement:
    found = scraped(run, spec, Role.RECORD_COUNT, counter=True)
    return found if isinstance(found, Measurement) else counted(run, spec, found)


@measures("mm2.topics_replicated")
def topics_replicated(run: Run, spec: MeasureSpec) -> Measurement:
    """Distinct topics inside the prefix with mirror metrics. The metrics exist from the moment MM2 takes a partition
    up, before anything is replicated: `target.topics_arrived` says whether something came out."""
    found = scraped(run, spec, Role.RECORD_COUNT, counter=False, any_topic=True)
    if isinstance(found, Measurement):
        return found
    label = run.evidence.profile.topic_label
    topics = {one.label(label) for one in found.within() if len(one.times_s)}
    return gauge(found, spec, float(len(topics)))


@measures("mm2.latency_max")
def latency_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest replication-latency-ms-max of any partition, from the load's start to the watch's end."""
    found = scraped(run, spec, Role.LATENCY_MAX, counter=False)
    if isinstance(found, Measurement):
        return found
    return latency_gauge(run, spec, found, largest_value(found.within()))


@measures("mm2.latency_avg")
def latency_avg(run: Run, spec: MeasureSpec) -> Measurement:
    """Mean of replication-latency-ms-avg over partitions, each weighted by the records it carried.

    A plain average over partitions would let an idle one count as much as a busy one, and NaN would swallow the sum.

    Where load and drain together last no longer than one Kafka metric window (30 s), a partition's records all lie in
    the same sample, so its last number before NaN *is* the mean of the phase; its weight is the growth of record-count.
    Over longer phases each scrape's number is weighted by the growth of record-count since the scrape before: that is
    the mean but for the lag of the gauge (it still shows up to 60 s of the past), which evens out over minutes.
    A partition that carried records and shows no number leaves the mean unknown.
    """
    found = means_by_partition(run, spec, Role.LATENCY_AVG)
    if isinstance(found, Measurement):
        return found
    shown, parts = found
    total = math.fsum(part.weight for part in parts)
    mean = math.fsum(part.mean * part.weight for part in parts) / total if parts else None
    return latency_gauge(run, spec, shown, mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMean:
    """A partition's mean of a gauge that averages over its records, and how many there were."""

    name: str
    mean: float
    weight: float


def means_by_partition(
    run: Run, spec: MeasureSpec, role: Role
) -> tuple[Scraped, tuple[PartitionMean, ...]] | Measurement:
    """The means of a gauge (as `latency_avg` reads it) of the partitions that carried records; none if one of those
    shows no number."""
    found = scraped(run, spec, role, counter=False)
    if isinstance(found, Measurement):
        return found
    counts = _record_counts(run, spec)
    if isinstance(counts, Measurement):
        return counts
    busy = {_key(run, series): (series, growth.growth) for series, growth in counts.growths if growth.growth > 0}
    if not busy:
        return Measurement.missing(
            Code.NO_GROWTH, unit=spec.unit, source=counts.found.metric.query, window=found.window
        )
    gauges = {_key(run, series): series for series in found.within()}
    windows, parts = found.windows, []
    short = run.stretch is None and windows.drained_s - windows.start_s <= KAFKA_METRIC_WINDOW_S
    for key, (counter, growth) in sorted(busy.items()):
        one = gauges.get(key)
        if one is None or np.isnan(one.values).all():
            return found, ()
        if short:
            mean, weight = float(one.values[~np.isnan(one.values)][-1]), growth
        else:
            mean, weight = _number_of_each_scrape(counter, one, start_s=found.window.start_s)
        if weight > 0:
            parts.append(PartitionMean(name=_partition_name(run, one), mean=mean, weight=weight))
    return found, tuple(parts)


def _key(run: Run, series: Series) -> tuple[str, ...]:
    """A partition on a worker: what two of its metrics have in common, whatever other labels they carry."""
    names = (run.evidence.profile.topic_label, run.evidence.profile.partition_label, "instance")
    return tuple(series.label(name) for name in names)


def _partition_name(run: Run, series: Series) -> str:
    profile = run.evidence.profile
    return f"{series.label(profile.topic_label)}-{series.label(profile.partition_label)}"


def _number_of_each_scrape(counter: Series, gauge: Series, *, start_s: float) -> tuple[float, float]:
    """Mean of a gauge's numbers, each weighted by the growth of the counter since the scrape before; and the growth."""
    index = np.searchsorted(counter.times_s, gauge.times_s, side="right") - 1
    counts = np.where(index >= 0, counter.values[np.maximum(index, 0)], 0.0)
    before = counter.last_before(start_s)
    steps = np.diff(counts, prepend=0.0 if before is None else counter.values[before])
    steps = np.where(steps < 0, counts, steps)  # after a restart the counter shows what it grew
    known = ~np.isnan(gauge.values) & (steps > 0)
    weight = math.fsum(steps[known])
    return (math.fsum(gauge.values[known] * steps[known]) / weight, weight) if weight > 0 else (0.0, 0.0)


@measures("mm2.record_count_gap")
def record_count_gap(run: Run, spec: MeasureSpec) -> Measurement:
    """How far MM2's own count of records on our topics is from the ledger's: two independent sources should agree."""
    counts = _record_counts(run, spec)
    if isinstance(counts, Measurement):
        return counts
    source = f"|{counts.found.metric.query} − {LEDGER_SOURCE.format('acked + totals.duplicated')}|"
    ledger = run.counts
    if ledger is None:
        return Measurement.missing(run.without_ledger, unit=spec.unit, source=source)
    if unknown := partial(run, of_arrivals=True):
        return Measurement(value=None, unit=spec.unit, source=source, why_not=unknown)
    if counts.reset is not None:
        return Measurement(value=None, unit=spec.unit, source=source, window=counts.found.window, why_not=counts.reset)
    ours = ledger.acked + ledger.duplicated
    return Measurement(
        value=abs(counts.growth - ours),
        unit=spec.unit,
        source=source,
        samples=counts.points,
        window=counts.found.window,
        series=len(counts.growths),
        coverage=counts.found.coverage,
        details=(("mm2", counts.growth), ("ours", ours)),
    )
