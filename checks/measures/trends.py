"""Does a machine fill up? Trends of the workers' memory, heap and CPU over the load, in % of where they began.

Each node or worker has its own trend (checks/trend.py: the slope of medians of blocks, and the change from the first
blocks to the last, in one interval); the one that grows most counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from checks.measurement import Measurement
from checks.measures.registry import Run, measures
from checks.measures.scraped import Scraped
from checks.measures.workers import cpu_shares, heap_in_use, memory_in_use
from checks.reasons import Code
from checks.series import Floats
from checks.trend import BLOCKS, WARM_UP_LEAST_S, WARM_UP_SHARE, trend_of
from scenarios.measures import MeasureSpec

#: Growth is told of at least this share: next to nothing that doubles is next to nothing.
CPU_LEAST_SHARE = 0.10

Tracks = Iterable[tuple[Floats, Floats]]


@measures("workers.memory_growth")
def memory_growth(run: Run, spec: MeasureSpec) -> Measurement:
    """Of what the nodes have in use."""
    found = memory_in_use(run, spec)
    return found if isinstance(found, Measurement) else _growth(spec, *found)


@measures("workers.heap_growth")
def heap_growth(run: Run, spec: MeasureSpec) -> Measurement:
    """Of what is left in the heap after a collection."""
    found = heap_in_use(run, spec)
    return found if isinstance(found, Measurement) else _growth(spec, *found, floor=True)


@measures("workers.cpu_growth")
def cpu_growth(run: Run, spec: MeasureSpec) -> Measurement:
    """Of the CPU averaged over 30 s."""
    found = cpu_shares(run, spec)
    return found if isinstance(found, Measurement) else _growth(spec, *found, least=CPU_LEAST_SHARE)


def _floor(times_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The least of each block of time: a heap is as full as its garbage collector leaves it."""
    places = np.array_split(np.arange(len(times_s)), BLOCKS)
    return np.array([times_s[part].mean() for part in places]), np.array([values[part].min() for part in places])


def _growth(
    spec: MeasureSpec, source: Scraped, tracks: Tracks, *, least: float = 0.0, floor: bool = False
) -> Measurement:
    """`least`: a smaller beginning counts as this. `floor`: it is the least of each block of time that grows."""
    window = source.window
    warm_s = window.start_s + max(WARM_UP_LEAST_S, WARM_UP_SHARE * window.duration_s)
    points = [_between(*track, warm_s, window.end_s) for track in tracks]
    fewest = min((len(times_s) for times_s, _ in points), default=0)
    growths = [] if fewest < spec.min_samples else [_in_percent(*one, least=least, floor=floor) for one in points]
    known = [growth for growth in growths if growth is not None]
    if not known:
        # One track that says too little is enough: it may be the one that grows most.
        return Measurement.missing(
            Code.TOO_FEW_SAMPLES,
            unit=spec.unit,
            source=source.metric.query,
            window=window,
            samples=fewest,
            needed=spec.min_samples,
        )
    value, low, high = (max(one[place] for one in known) for place in range(3))
    return Measurement(
        value=value,
        unit=spec.unit,
        source=source.metric.query,
        samples=max(len(times_s) for times_s, _ in points),
        window=window,
        series=len(source.series),
        coverage=source.coverage,
        interval=(low, high),
    )


def _between(times_s: Floats, values: Floats, start_s: float, end_s: float) -> tuple[Floats, Floats]:
    """The numbers of start ≤ t ≤ end."""
    inside = ~np.isnan(values) & (times_s >= start_s) & (times_s <= end_s)
    return times_s[inside], values[inside]


def _in_percent(times_s: Floats, values: Floats, *, least: float, floor: bool) -> tuple[float, ...] | None:
    """Slope and interval of a track's trend, as growth over all of it in % of where it began; None if at nothing."""
    trend = trend_of(*(_floor(times_s, values) if floor else (times_s, values)))
    began = max(trend.start, least)
    if began <= 0:
        return None
    lasted_s = float(times_s[-1] - times_s[0])
    return tuple(100.0 * lasted_s * one / began for one in (trend.slope.value, *trend.interval))
