"""What MM2's mirror metrics say partition by partition: how old records are when it reads them, and hot partitions.

`record-age-ms` runs from the record's timestamp to MM2's poll, `replication-latency-ms` from the same timestamp to the
target's acknowledgement: so their means may be subtracted, and the difference is what MM2 and the target took.
"""

from __future__ import annotations

import math

import numpy as np

from checks.measurement import Measurement
from checks.measures.connect import largest_value
from checks.measures.mirror import latency_gauge, means_by_partition
from checks.measures.registry import Run, measures
from checks.measures.scraped import Scraped, scraped
from checks.metric_profiles import Role
from checks.reasons import Code
from scenarios.measures import MeasureSpec


@measures("mm2.record_age_avg")
def record_age_avg(run: Run, spec: MeasureSpec) -> Measurement:
    """Mean over partitions, each weighted by its records."""
    found = means_by_partition(run, spec, Role.RECORD_AGE_AVG)
    if isinstance(found, Measurement):
        return found
    shown, parts = found
    total = math.fsum(part.weight for part in parts)
    return latency_gauge(run, spec, shown, math.fsum(p.mean * p.weight for p in parts) / total if parts else None)


@measures("mm2.record_age_max")
def record_age_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest record-age-ms-max of any partition."""
    found = scraped(run, spec, Role.RECORD_AGE_MAX, counter=False)
    if isinstance(found, Measurement):
        return found
    return latency_gauge(run, spec, found, largest_value(found.within()))


@measures("mm2.partition_ratio")
def partition_ratio(run: Run, spec: MeasureSpec) -> Measurement:
    """The slowest partition's mean ÷ the median of the others'. Below 1 ms a mean counts as 1: the ratio of two
    latencies that nobody could feel says nothing."""
    found = means_by_partition(run, spec, Role.LATENCY_AVG)
    if isinstance(found, Measurement):
        return found
    shown, parts = found
    if not parts:
        return latency_gauge(run, spec, shown, None)
    if len(parts) == 1:
        return Measurement.missing(Code.ONE_PARTITION, unit=spec.unit, source=shown.metric.query, window=shown.window)
    ordered = sorted(parts, key=lambda part: part.mean)
    others = float(np.median([max(part.mean, 1.0) for part in ordered[:-1]]))
    slowest = ordered[-1]
    return _named(shown, spec, max(slowest.mean, 1.0) / others, slowest.mean, others, slowest.name, len(parts))


def _named(
    shown: Scraped, spec: MeasureSpec, ratio: float, slowest_ms: float, others_ms: float, name: str, partitions: int
) -> Measurement:
    return Measurement(
        value=ratio,
        unit=spec.unit,
        source=f"{shown.metric.query}: {name}",
        samples=partitions,
        window=shown.window,
        series=len(shown.series),
        coverage=shown.coverage,
        details=(("slowest_ms", slowest_ms), ("others_ms", others_ms), ("partitions", partitions)),
    )
