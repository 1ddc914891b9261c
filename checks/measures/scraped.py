"""What every measure read from Prometheus must pass before its figure is believed.

In this order: the load ran; the answer came whole and without warnings; Prometheus as a whole can be believed
(checks/measures/scrape_guards.py); there are series; every worker's exporter was scraped for at least 90 % of the
window; so was the metric, each part of it that must be there by itself; the last point is not older than the window
needs; no two series count the same thing; no number is infinite. The first that fails is the reason why there is no
value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from checks.evidence import Metric
from checks.measurement import Measurement, Window
from checks.measures.registry import Run
from checks.measures.scrape_guards import whole_objection
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Floats, Growth, Series, coverage, growth_of, instants
from checks.windows import Windows
from scenarios.measures import MeasureSpec

COVERAGE_LEAST = 0.9
#: A point this many scrapes old still speaks for its window's end; a task may have one twin for as long as it moves.
FRESH_SCRAPES = 2
PATIENCE_SCRAPES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What must each be scraped for all of the window: the points of one would hide that another is silent.

    `of` names the part that a series belongs to (several series may be one: a task that moved has one on each worker).
    `expected` parts must be there, with a series or without. `may_begin`: a part without a point before the window and
    with one in it did not exist before (its exporter was scraped, or there is no figure at all), and counts from its
    first point on; one that was gone before the window is none of it.
    """

    of: Callable[[Series], str] = lambda _: "metric"
    expected: frozenset[str] = frozenset()
    may_begin: bool = False


#: All series together are one part: they come and go, and say nothing by their absence.
TOGETHER = Parts()


def parts_by(*labels: str) -> Parts:
    """A part for each combination of labels, from its first point on."""
    return Parts(of=lambda one: ", ".join(f"{name}={one.label(name)}" for name in labels), may_begin=True)


def every_worker(run: Run) -> Parts:
    """A part for each worker whose exporter is scraped: of metrics that every one of them has, all the time."""
    workers = run.evidence.metric(Role.UP).series
    return Parts(of=lambda one: one.label("instance"), expected=frozenset(one.label("instance") for one in workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """Series that passed, cut to nothing yet, with what is to be said about them."""

    metric: Metric
    series: tuple[Series, ...]
    windows: Windows
    window: Window
    coverage: float

    def within(self) -> tuple[Series, ...]:
        """The points of the window."""
        return tuple(one.between(self.window.start_s, self.window.end_s) for one in self.series)


def scraped(
    run: Run,
    spec: MeasureSpec,
    role: Role,
    *,
    counter: bool,
    identity: Sequence[str] = (),
    only: Callable[[Series], bool] = lambda _: True,
    window: Window | None = None,
    parts: Parts = TOGETHER,
) -> Scraped | Measurement:
    """The series of a role that `only` lets through, or the measurement that says why they cannot be used.

    `counter`: over the counters' window, which a scrape must close. `identity`: labels that name what is measured, so
    that two series of the same identity at the same time count it twice. `window`: another than the usual; the
    stretch looked at, if the run is narrowed to one, is the usual one. `parts`: what must be covered one by one.
    """
    metric = run.evidence.metric(role)
    windows = run.windows
    if windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=metric.query)
    window = window or run.stretch or (windows.counters if counter else windows.gauges)
    series = tuple(one for one in metric.series if only(one))
    covered = _covered(run, series, parts, window, interval_s=windows.scrape_s)
    fresh_s = FRESH_SCRAPES * windows.scrape_s
    objections = (
        metric.trouble,
        run.evidence.metric(Role.UP).trouble,
        whole_objection(run, windows, role),
        _empty_objection(metric, series, window),
        _coverage_objection(run, covered, windows, window),
        _stale_objection(instants(series), window, fresh_s=0.0 if counter else fresh_s),
        *(_stale_objection(part.times_s, window, fresh_s=fresh_s, where=part.where) for part in covered),
        _twin_objection(series, identity, longer_than_s=PATIENCE_SCRAPES * windows.scrape_s),
        _infinite_objection(series, window),
    )
    for objection in objections:
        if objection is not None:
            return Measurement(
                value=None,
                unit=spec.unit,
                source=metric.query,
                window=window,
                series=len(series),
                warnings=metric.warnings,
                why_not=objection,
            )
    least = min(part.share for part in covered)
    return Scraped(metric=metric, series=series, windows=windows, window=window, coverage=least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The growth of a counter over all its series."""

    found: Scraped
    growths: tuple[tuple[Series, Growth], ...]

    @property
    def growth(self) -> float:
        return sum(growth.growth for _, growth in self.growths)

    @property
    def points(self) -> int:
        return sum(growth.points for _, growth in self.growths)

    @property
    def reset(self) -> Reason | None:
        """Why the growth is a lower bound, if it is."""
        resets = sum(growth.resets for _, growth in self.growths)
        ended = sum(growth.ended for _, growth in self.growths)
        return Reason.of(Code.COUNTER_RESET, resets=resets, ended=ended) if resets or ended else None

    @property
    def details(self) -> tuple[tuple[str, float], ...]:
        return (
            ("base", sum(growth.base for _, growth in self.growths)),
            ("end", sum(growth.end for _, growth in self.growths)),
        )


def counted(run: Run, spec: MeasureSpec, found: Scraped) -> Counted | Measurement:
    """Growth of each series over the counters' window."""
    windows = found.windows
    patience_s = PATIENCE_SCRAPES * windows.scrape_s
    base_s = windows.base_s if found.window.start_s == windows.start_s else found.window.start_s
    growths = []
    for one in found.series:
        growth = growth_of(one, base_s, found.window.end_s, patience_s=patience_s)
        if growth is None:
            continue
        if growth.born and not scraped_before(run, one, base_s):
            return Measurement.missing(
                Code.NO_BASE, unit=spec.unit, source=found.metric.query, window=found.window, series=name_of(one)
            )
        growths.append((one, growth))
    if not growths:
        return Measurement.missing(
            Code.ONLY_NAN, unit=spec.unit, source=found.metric.query, window=found.window, series=len(found.series)
        )
    return Counted(found=found, growths=tuple(growths))


def gauge(found: Scraped, spec: MeasureSpec, value: float | None) -> Measurement:
    """The measurement of a gauge whose value over the window was worked out."""
    points = sum(int((~np.isnan(one.values)).sum()) for one in found.within())
    if value is None:
        return Measurement.missing(
            Code.ONLY_NAN, unit=spec.unit, source=found.metric.query, window=found.window, series=len(found.series)
        )
    if not np.isfinite(value):
        return Measurement.missing(Code.NOT_FINITE, unit=spec.unit, source=found.metric.query, window=found.window)
    return Measurement(
        value=value,
        unit=spec.unit,
        source=found.metric.query,
        samples=points,
        window=found.window,
        series=len(found.series),
        coverage=found.coverage,
    )


def without_partner(spec: MeasureSpec, one: Scraped, other: Scraped, *, by: Sequence[str]) -> Measurement | None:
    """Of two metrics that are read together, the objection that one has a series (by these labels) without its partner
    in the other: what the rest come to says nothing of it. None when all are paired."""
    keys = [
        {tuple(series.label(name) for name in by) for series in side.within() if len(series.times_s)}
        for side in (one, other)
    ]
    if keys[0] == keys[1]:
        return None
    lacking = one if keys[1] - keys[0] else other
    query = lacking.metric.query
    return Measurement.missing(Code.NO_SERIES, unit=spec.unit, source=query, window=lacking.window, query=query)


def _empty_objection(metric: Metric, series: Sequence[Series], window: Window) -> Reason | None:
    if any(len(one.between(window.start_s, window.end_s).times_s) for one in series):
        return None
    return Reason.of(Code.NO_SERIES, query=metric.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covered:
    """How much of the window the scrapes of an exporter, or of a part of the metric, vouch for."""

    share: float
    where: str
    times_s: Floats


def _covered(
    run: Run, series: Sequence[Series], parts: Parts, window: Window, *, interval_s: float
) -> tuple[_Covered, ...]:
    """The coverage of each worker's exporter and of each part of the metric."""
    exporters = run.evidence.metric(Role.UP).series
    groups: dict[str, list[Series]] = {name: [] for name in sorted(parts.expected)}
    for one in series:
        groups.setdefault(parts.of(one), []).append(one)
    scrapes = [(one.label("instance"), one.times_s[one.values == 1.0], window.start_s) for one in exporters]
    for name, group in groups.items():
        times_s, start_s = instants(group), window.start_s
        if parts.may_begin:
            inside = times_s[(times_s >= window.start_s) & (times_s <= window.end_s)]
            before = times_s[times_s < window.start_s]
            if len(inside) == 0 and (len(before) == 0 or before[-1] < window.start_s - PATIENCE_SCRAPES * interval_s):
                continue
            start_s = window.start_s if len(before) else float(inside[0])
        scrapes.append((name, times_s, start_s))
    return tuple(
        _Covered(
            # What begins at the window's last instant is whole.
            share=1.0
            if start_s == window.end_s > window.start_s
            else coverage(times_s, start_s, window.end_s, interval_s=interval_s),
            where=where,
            times_s=times_s,
        )
        for where, times_s, start_s in scrapes
    )


def _coverage_objection(run: Run, covered: Sequence[_Covered], windows: Windows, window: Window) -> Reason | None:
    if not run.evidence.metric(Role.UP).series:
        return Reason.of(Code.NO_SCRAPES, query=run.evidence.metric(Role.UP).query)
    least = min(covered, key=lambda part: (part.share, part.where))
    if least.share >= COVERAGE_LEAST:
        return None
    return Reason.of(
        Code.LOW_COVERAGE,
        percent=100 * least.share,
        wanted=100 * COVERAGE_LEAST,
        points=int(((least.times_s >= window.start_s) & (least.times_s <= window.end_s)).sum()),
        interval_s=windows.scrape_s,
        where=least.where,
    )


def _stale_objection(times_s: Floats, window: Window, *, fresh_s: float, where: str = "metric") -> Reason | None:
    age_s = window.end_s - float(times_s[-1]) if len(times_s) else 0.0
    return Reason.of(Code.STALE, age_s=age_s, where=where) if age_s > fresh_s else None


def _infinite_objection(series: Sequence[Series], window: Window) -> Reason | None:
    """±Inf is no reading of anything: an exporter divided by zero, or a rule did."""
    found = [one for one in series if np.isinf(one.between(window.start_s, window.end_s).values).any()]
    return Reason.of(Code.NOT_FINITE) if found else None


def _twin_objection(series: Sequence[Series], identity: Sequence[str], *, longer_than_s: float) -> Reason | None:
    """Two series of one identity at the same time, for longer than a task takes to move."""
    groups: dict[tuple[str, ...], list[Series]] = defaultdict(list)
    for one in series:
        if identity and len(one.times_s):
            groups[tuple(one.label(name) for name in identity)].append(one)
    for key in sorted(groups):
        spans = sorted((float(one.times_s[0]), float(one.times_s[-1])) for one in groups[key])
        for (_, before_end), (after_start, after_end) in pairwise(spans):
            if min(before_end, after_end) - after_start > longer_than_s:
                what = ", ".join(f"{name}={value}" for name, value in zip(identity, key, strict=True))
                return Reason.of(Code.TWIN_SERIES, what=what)
    return None


def scraped_before(run: Run, series: Series, at_s: float) -> bool:
    """Whether the exporter of a series was scraped before an instant, so that the series' absence then is known."""
    return any(
        one.label("instance") == series.label("instance") and bool(((one.times_s <= at_s) & (one.values == 1.0)).any())
        for one in run.evidence.metric(Role.UP).series
    )


def name_of(series: Series) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(series.labels.items()) if key not in ("job", "__name__"))
