"""A run's figures over time, as arrays: what curves are drawn from, and since when something was wrong. Pure.

Verdicts do not come from here but from the measures, which check coverage, freshness and twins first; a curve shows
what there is, and leaves a hole where there is nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from checks.measurement import Measurement
from checks.measures.completeness import ours
from checks.measures.registry import Run
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.measures.workers import cpu_shares
from checks.metric_profiles import Role
from checks.series import Floats, Series, sums
from run_record.timeline import TimelineRow
from scenarios.measures import MEASURES

NS_PER_S = 1e9
#: Rows of the timeline are a second apart; after this long without one, nothing is known.
ROW_GAP_S = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Values at instants (Unix seconds, ascending); NaN where nothing is known, so that no line is drawn there."""

    name: str
    unit: str
    times_s: Floats
    values: Floats

    @property
    def known(self) -> bool:
        """Whether it has any value at all."""
        return bool((~np.isnan(self.values)).any())

    def between(self, start_s: float, end_s: float) -> Track:
        """The part of start ≤ t ≤ end."""
        inside = (self.times_s >= start_s) & (self.times_s <= end_s)
        return Track(name=self.name, unit=self.unit, times_s=self.times_s[inside], values=self.values[inside])


def track(run: Run, name: str) -> Track:
    """A track by name; without points when the run has nothing of it."""
    unit, read = TRACKS[name]
    times_s, values = read(run)
    return Track(name=name, unit=unit, times_s=times_s, values=values)


Points = tuple[Floats, Floats]
_NOTHING: Points = (np.array([]), np.array([]))


# From the timeline.


def _of_rows(value: Callable[[TimelineRow], float | None]) -> Callable[[Run], Points]:
    def read(run: Run) -> Points:
        rows = run.record.timeline
        times_s = np.array([row.at_ns for row in rows]) / NS_PER_S
        return holed(times_s, _floats([value(row) for row in rows]), longest_s=ROW_GAP_S)

    return read


def _rate_of_rows(count: Callable[[TimelineRow], int]) -> Callable[[Run], Points]:
    """Growth of a count from row to row."""

    def read(run: Run) -> Points:
        rows = run.record.timeline
        if len(rows) < 2:
            return _NOTHING
        times_s = np.array([row.at_ns for row in rows]) / NS_PER_S
        steps_s = np.maximum(np.diff(times_s), 1e-3)
        return holed(times_s[1:], np.diff(_floats([count(row) for row in rows])) / steps_s, longest_s=ROW_GAP_S)

    return read


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values])


def holed(times_s: Floats, values: Floats, *, longest_s: float) -> Points:
    """The points, with a NaN in the middle of each stretch of more than `longest_s` without one."""
    gaps = np.flatnonzero(np.diff(times_s) > longest_s)
    middles = (times_s[gaps] + times_s[gaps + 1]) / 2
    return np.insert(times_s, gaps + 1, middles), np.insert(values, gaps + 1, np.nan)


# From the evidence.


def _scraped(role: Role, *, mirrored: bool = False) -> Callable[[Run], list[Series]]:
    def read(run: Run) -> list[Series]:
        metric = run.evidence.metric(role)
        series = [] if metric.trouble is not None else list(metric.series)
        if mirrored:
            series = [one for one in series if ours(run)(one)]
        return [_known(one) for one in series]

    return read


def _known(series: Series) -> Series:
    finite = np.isfinite(series.values)
    if finite.all():
        return series
    return Series(labels=series.labels, times_s=series.times_s[finite], values=series.values[finite])


def _summed(role: Role) -> Callable[[Run], Points]:
    def read(run: Run) -> Points:
        patience_s = _patience_s(run)
        times_s, values = sums(_scraped(role)(run), stale_s=patience_s)
        return holed(times_s, values, longest_s=patience_s)

    return read


def _largest(role: Role, *, mirrored: bool = False, factor: float = 1.0) -> Callable[[Run], Points]:
    """The largest value of any series, scrape interval by scrape interval."""

    def read(run: Run) -> Points:
        return _by_interval(run, _scraped(role, mirrored=mirrored)(run), lambda values, _: factor * float(values.max()))

    return read


def _latency_avg(run: Run) -> Points:
    """The mean over partitions, each weighted by the records that it carried since its scrape before."""
    counters = {_key(one): one for one in _scraped(Role.RECORD_COUNT, mirrored=True)(run)}
    weighted, weights = [], []
    for one in _scraped(Role.LATENCY_AVG, mirrored=True)(run):
        counter = counters.get(_key(one))
        if counter is None or len(counter.values) == 0:
            continue
        index = np.searchsorted(counter.times_s, one.times_s, side="right") - 1
        counts = np.where(index >= 0, counter.values[np.maximum(index, 0)], 0.0)
        weighted.append(one)
        weights.append(np.maximum(np.diff(counts, prepend=counts[:1]), 0.0))
    return _by_interval(run, weighted, _weighted_mean, weights)


def _weighted_mean(values: Floats, weights: Floats) -> float:
    return float((values * weights).sum() / weights.sum()) if weights.sum() > 0 else np.nan


def _key(series: Series) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in series.labels.items() if name != "__name__"))


def _by_interval(
    run: Run,
    series: Sequence[Series],
    combined: Callable[[Floats, Floats], float],
    weights: Sequence[Floats] | None = None,
) -> Points:
    """One value per scrape interval: workers are scraped at different instants, which belong together."""
    if run.windows is None or not series or not any(len(one.times_s) for one in series):
        return _NOTHING
    times_s = np.concatenate([one.times_s for one in series])
    values = np.concatenate([one.values for one in series])
    weight = values if weights is None else np.concatenate(weights)
    interval_s = run.windows.scrape_s
    # A day of a hundred partitions is a million points: small numbers, and no copy that is not needed.
    numbers = ((times_s - times_s.min()) / interval_s).astype(np.int32)
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    groups = [group for group in np.split(order, edges) if len(group)]
    at_s = np.array([times_s[group].max() for group in groups])
    together = np.array([combined(values[group], weight[group]) for group in groups])
    return holed(at_s, together, longest_s=_patience_s(run))


def _cpu(run: Run) -> Points:
    """The busiest node, or worker process."""
    if run.windows is None:
        return _NOTHING
    found = cpu_shares(run, MEASURES["workers.cpu"], window=run.windows.gauges)
    if isinstance(found, Measurement):
        return _NOTHING
    _, shares = found
    series = [Series(labels={}, times_s=ends_s, values=100 * share) for ends_s, share in shares]
    return _by_interval(run, [_known(one) for one in series], lambda values, _: float(values.max()))


def _heap(run: Run) -> Points:
    """The largest share of any worker's heap in use."""
    return _share(run, Role.HEAP_USED, Role.HEAP_MAX, rest=False)


def _buffer(run: Run) -> Points:
    """The fullest buffer of any producer of the source connector."""
    return _share(run, Role.BUFFER_AVAILABLE, Role.BUFFER_TOTAL, rest=True)


def _share(run: Run, part: Role, whole: Role, *, rest: bool) -> Points:
    wholes: dict[str, float] = defaultdict(float)
    for one in _scraped(whole)(run):
        wholes[_owner(one)] = max([wholes[_owner(one)], *one.values.tolist()])
    shares = [
        Series(
            labels=one.labels,
            times_s=one.times_s,
            values=100 * ((1 - one.values / wholes[_owner(one)]) if rest else one.values / wholes[_owner(one)]),
        )
        for one in _scraped(part)(run)
        if wholes.get(_owner(one), 0.0) > 0
    ]
    return _by_interval(run, shares, lambda values, _: float(values.max()))


def _owner(series: Series) -> str:
    return f"{series.label('instance')} {series.label('client_id')}"


def _patience_s(run: Run) -> float:
    return PATIENCE_SCRAPES * run.environment.prometheus.scrape_interval


#: Name → unit, and where it is read.
TRACKS: Mapping[str, tuple[str, Callable[[Run], Points]]] = {
    "wanted": ("records/s", _of_rows(lambda row: row.wanted_per_s)),
    "sent": ("records/s", _rate_of_rows(lambda row: row.sent)),
    "arrived": ("records/s", _rate_of_rows(lambda row: row.arrived)),
    "e2e_p50": ("ms", _of_rows(lambda row: row.e2e.p50_ms)),
    "e2e_p99": ("ms", _of_rows(lambda row: row.e2e.p99_ms)),
    "e2e_max": ("ms", _of_rows(lambda row: row.e2e.max_ms)),
    "backlog": ("records", _of_rows(lambda row: row.backlog)),
    "duplicated": ("records", _of_rows(lambda row: row.duplicated)),
    "send_errors": ("records", _of_rows(lambda row: row.failed + row.unknown)),
    "in_flight": ("records", _summed(Role.ACTIVE_COUNT)),
    "polled": ("records", _summed(Role.POLL_TOTAL)),
    "written": ("records", _summed(Role.WRITE_TOTAL)),
    "failed_tasks": ("tasks", _summed(Role.FAILED_TASKS)),
    "mm2_latency_avg": ("ms", _latency_avg),
    "mm2_latency_max": ("ms", _largest(Role.LATENCY_MAX, mirrored=True)),
    "offset_commit_max": ("ms", _largest(Role.OFFSET_COMMIT_MAX)),
    "throttle_max": ("ms", _largest(Role.THROTTLE_MAX)),
    "offset_commit_failure": ("%", _largest(Role.OFFSET_COMMIT_FAILURE, factor=100.0)),
    "cpu": ("%", _cpu),
    "heap": ("%", _heap),
    "buffer": ("%", _buffer),
}
