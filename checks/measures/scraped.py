"""The series of a role, if nothing speaks against them (checks/measures/completeness.py); else why no value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from checks.evidence import Metric
from checks.measurement import Measurement, Window
from checks.measures.completeness import Look
from checks.measures.registry import Run
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.series import Floats, Series
from checks.windows import Windows
from scenarios.measures import MeasureSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """Series that passed, cut to nothing yet, with what is to be said about them."""

    role: Role
    metric: Metric
    series: tuple[Series, ...]
    windows: Windows
    window: Window
    coverage: float

    def within(self) -> tuple[Series, ...]:
        """The points of the window."""
        return tuple(one.between(self.window.start_s, self.window.end_s) for one in self.series)


def scraped(
    run: Run, spec: MeasureSpec, role: Role, *, counter: bool, window: Window | None = None, any_topic: bool = False
) -> Scraped | Measurement:
    """The series of a role, or the measurement that says why they cannot be used.

    `counter`: over the counters' window, which a scrape must close, and read from its two ends. `window`: another than
    the usual; the stretch looked at, if the run is narrowed to one, is the usual one. `any_topic`: of every topic
    inside the prefix, and of the plan's only those that are there must be there whole.
    """
    metric, windows = run.evidence.metric(role), run.windows
    if windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=metric.query)
    window = window or run.stretch or (windows.counters if counter else windows.gauges)
    look = Look.at(run, role, windows, window, counter=counter, any_topic=any_topic)
    if (objection := look.objection()) is not None:
        return Measurement(
            value=None,
            unit=spec.unit,
            source=objection.metric.query,
            window=window,
            series=len(look.series),
            warnings=objection.metric.warnings,
            why_not=objection.reason,
        )
    return Scraped(role=role, metric=metric, series=look.series, windows=windows, window=window, coverage=look.coverage)


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


#: For each of several, (instants, shares of a whole).
Shares = list[tuple[Floats, Floats]]


def impossible_share(spec: MeasureSpec, found: Scraped, shares: Shares, *, slack: float = 0.0) -> Measurement | None:
    """The objection that a share lies below 0 or above 1 by more than a slack: the figures that it is made of
    contradict each other. None when none does."""
    values = np.concatenate([share for _, share in shares]) if shares else np.array([])
    values = values[~np.isnan(values)]
    low, high = float(values.min(initial=0.0)), float(values.max(initial=1.0))
    if low >= -slack and high <= 1.0 + slack:
        return None
    value, limit = (low, 0.0) if low < -slack else (high, 1.0)
    return Measurement.missing(
        Code.OUT_OF_RANGE,
        unit=spec.unit,
        source=found.metric.query,
        window=found.window,
        value=100.0 * value,
        limit=100.0 * limit,
    )
