"""Rates while the load goes on: what counters grew by, over the time in which they did.

Each series is read from the last scrape before the load to the last scrape *in* it, and its growth divided by the time
from the load's start to that scrape: what passes between that scrape and the load's end is in neither number, so the
rate is that of the load, however seldom Prometheus scrapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from checks.measurement import Measurement
from checks.measures.counters import known_absent, name_of
from checks.measures.registry import MeasureFunction, Run, measures
from checks.measures.scraped import Scraped, scraped
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Series
from scenarios.measures import MeasureSpec
from scenarios.units import UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Growth per second of one counter. `broken`: it was reset or ended within, so the rate is a lower bound. `born`:
    it had no scrape at the start, and is counted from 0."""

    growth: float
    per_s: float
    points: int
    broken: bool
    born: bool


def rate_of(series: Series, start_s: float, end_s: float, *, patience_s: float, at_rest: bool) -> Rate | None:
    """The rate of a counter between two instants; None when it has no number before the end.

    A counter without a scrape at the start counts from 0 (its task came from elsewhere). One whose last scrape is
    older than `patience_s` at the end has ended: what it grew is spread over all of the time. `at_rest`: it did not
    grow between its last scrape before the start and the start; else its time begins at that scrape, as its growth
    does.
    """
    known = series.known()
    times_s, values = known.times_s, known.values
    before = int(np.searchsorted(times_s, start_s, side="right")) - 1
    last = int(np.searchsorted(times_s, end_s, side="right")) - 1
    if last < 0:
        return None
    used = values[max(before, 0) : last + 1]
    steps = np.diff(used, prepend=0.0 if before < 0 else used[0])
    growth = float(np.where(steps < 0, used, steps).sum())
    ended = float(times_s[last]) < end_s - patience_s
    since_s = start_s if at_rest or before < 0 else float(times_s[before])
    elapsed_s = (end_s if ended else float(times_s[last])) - since_s
    if elapsed_s <= 0:
        return None
    return Rate(
        growth=growth,
        per_s=growth / elapsed_s,
        points=len(used),
        broken=ended or bool((steps < 0).any()),
        born=before < 0,
    )


def _rate(run: Run, spec: MeasureSpec, found: Scraped | Measurement, *, per: float = 1.0) -> Measurement:
    if isinstance(found, Measurement):
        return found
    window, patience_s = found.window, PATIENCE_SCRAPES * found.windows.scrape_s
    at_rest = window.start_s <= found.windows.start_s
    known = []
    for one in found.series:
        rate = rate_of(one, window.start_s, window.end_s, patience_s=patience_s, at_rest=at_rest)
        if rate is None:
            continue
        if rate.born and not known_absent(run, found.role, one, window.start_s):
            return Measurement.missing(
                Code.NO_BASE, unit=spec.unit, source=found.metric.query, window=window, series=name_of(one)
            )
        known.append(rate)
    if not known:
        return Measurement.missing(
            Code.ONLY_NAN, unit=spec.unit, source=found.metric.query, window=window, series=len(found.series)
        )
    broken = sum(rate.broken and rate.growth > 0 for rate in known)
    return Measurement(
        value=sum(rate.per_s for rate in known) / per,
        unit=spec.unit,
        source=found.metric.query,
        samples=sum(rate.points for rate in known),
        window=window,
        series=len(known),
        coverage=found.coverage,
        at_least=broken > 0,
        note=Reason.of(Code.COUNTER_RESET, resets=broken, ended=0) if broken else None,
        details=(("growth", sum(rate.growth for rate in known)),),
    )


def _in_the_load(run: Run, spec: MeasureSpec, role: Role) -> Scraped | Measurement:
    return scraped(run, spec, role, counter=False, window=run.load_window)


def _rate_over_the_load(role: Role) -> MeasureFunction:
    def measured(run: Run, spec: MeasureSpec) -> Measurement:
        return _rate(run, spec, _in_the_load(run, spec, role), per=UNITS[spec.unit][1])

    return measured


# record-count counts what the target acknowledged; byte-count the bytes of values (no keys, no headers) at the poll.
measures("mm2.record_rate")(_rate_over_the_load(Role.RECORD_COUNT))
measures("mm2.byte_rate")(_rate_over_the_load(Role.BYTE_COUNT))
measures("connect.poll_rate")(_rate_over_the_load(Role.POLL_TOTAL))
measures("connect.write_rate")(_rate_over_the_load(Role.WRITE_TOTAL))


@measures("connect.poll_idle")
def poll_idle(run: Run, spec: MeasureSpec) -> Measurement:
    """The longest time in which the sum of the poll totals did not move, seen at the scrapes."""
    found = _in_the_load(run, spec, Role.POLL_TOTAL)
    if isinstance(found, Measurement):
        return found
    window = found.window
    samples = sum(len(one.known().times_s) for one in found.within())
    if samples == 0:
        return Measurement.missing(
            Code.ONLY_NAN, unit=spec.unit, source=found.metric.query, window=window, series=len(found.series)
        )
    moves_s = _moves([one.known() for one in found.series])
    inside = moves_s[(moves_s > window.start_s) & (moves_s < window.end_s)]
    edges_s = np.concatenate([[window.start_s], inside, [window.end_s]])
    return Measurement(
        value=float(np.diff(edges_s).max()),
        unit=spec.unit,
        source=found.metric.query,
        samples=samples,
        window=window,
        series=len(found.series),
        coverage=found.coverage,
    )


def _moves(series: Sequence[Series]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Scrape times at which any of the counters, numbers all, stood elsewhere than at the scrape before, ascending."""
    moved = [one.times_s[1:][np.diff(one.values) != 0] for one in series if len(one.times_s) > 1]
    return np.unique(np.concatenate(moved)) if moved else np.array([])
