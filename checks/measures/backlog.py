"""The lag, from our own timeline: acknowledged − arrived, once a second. No figure of MM2's shows it (design §5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from checks.measurement import Measurement, Window
from checks.measures.ledger import partial, refused
from checks.measures.registry import Run, measures
from checks.measures.timeline_guards import timeline_objection
from checks.reasons import Code, Reason
from checks.trend import WARM_UP_LEAST_S, WARM_UP_SHARE, trend_of
from run_record.timeline import TimelineRow
from scenarios.measures import MeasureSpec

SOURCE = "record/timeline.jsonl: {}"
NS_PER_S = 1e9
#: The runbook's "lag back to normal": fewer records than this are missing.
RECOVERED_BELOW = 1000


def rows_of_load(run: Run) -> list[TimelineRow]:
    """The timeline's rows of the load, or of the stretch looked at."""
    window = run.load_window
    if window is None:
        return []
    return [row for row in run.record.timeline if window.start_s < row.at_ns / NS_PER_S <= window.end_s]


def rate_between(rows: Sequence[TimelineRow], count: Callable[[TimelineRow], int]) -> float | None:
    """Growth of a count per second, from the first row to the last; None when they are one."""
    elapsed_s = (rows[-1].at_ns - rows[0].at_ns) / NS_PER_S if rows else 0.0
    return (count(rows[-1]) - count(rows[0])) / elapsed_s if elapsed_s > 0 else None


def _missing(
    run: Run, spec: MeasureSpec, rows: list[TimelineRow], source: str, window: Window | None = None
) -> Measurement | None:
    if run.windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=source)
    if reason := refused(run):
        return Measurement(value=None, unit=spec.unit, source=source, why_not=reason)
    if not rows:
        return Measurement.missing(Code.RECORD_UNFINISHED, unit=spec.unit, source=source)
    window = window or run.load_window
    if window is not None and (reason := timeline_objection(run, window)):
        return Measurement(value=None, unit=spec.unit, source=source, window=window, why_not=reason)
    return None


@measures("backlog.last")
def backlog_last(run: Run, spec: MeasureSpec) -> Measurement:
    """The last second of the load."""
    source, rows = SOURCE.format("backlog of the load's last row"), rows_of_load(run)
    if missing := _missing(run, spec, rows, source):
        return missing
    note = partial(run, of_arrivals=False)
    return Measurement(
        value=rows[-1].backlog,
        unit=spec.unit,
        source=source,
        samples=len(rows),
        window=run.load_window,
        at_least=note is not None,
        note=note,
    )


@measures("backlog.recovery")
def recovery(run: Run, spec: MeasureSpec) -> Measurement:
    """Seconds from the load's end until the backlog was below the runbook's 1000 for good, seen each second; a lower
    bound while it was not."""
    source = SOURCE.format(f"from the load's end to backlog < {RECOVERED_BELOW}")
    windows = run.windows
    if windows is None:
        return Measurement.missing(Code.LOAD_NOT_STARTED, unit=spec.unit, source=source)
    window = Window(start_s=windows.load_end_s, end_s=windows.watched_s)
    rows = [row for row in run.record.timeline if window.start_s <= row.at_ns / NS_PER_S <= window.end_s]
    if missing := _missing(run, spec, rows, source, window):
        return missing
    behind = [place for place, row in enumerate(rows) if row.backlog >= RECOVERED_BELOW]
    back = rows[behind[-1] + 1 :] if behind else rows
    partly = partial(run, of_arrivals=False)
    note = partly or (None if back else Reason.of(Code.NOT_RECOVERED, backlog=rows[-1].backlog, below=RECOVERED_BELOW))
    at_s = back[0].at_ns / NS_PER_S if behind and back else window.start_s if back else rows[-1].at_ns / NS_PER_S
    return Measurement(
        value=max(at_s - window.start_s, 0.0),
        unit=spec.unit,
        source=source,
        samples=len(rows),
        window=window,
        at_least=note is not None,
        note=note,
        details=(("backlog_at_load_end", rows[0].backlog),),
    )


@measures("arrivals.rate")
def arrived_rate(run: Run, spec: MeasureSpec) -> Measurement:
    """Arrivals between the load's first row and its last ÷ their distance: both are as late as reports are."""
    source, rows = SOURCE.format("growth of arrived ÷ time"), rows_of_load(run)
    if missing := _missing(run, spec, rows, source):
        return missing
    rate = rate_between(rows, lambda row: row.arrived)
    if rate is None:
        return Measurement.missing(Code.TOO_FEW_SAMPLES, unit=spec.unit, source=source, samples=len(rows), needed=2)
    note = partial(run, of_arrivals=True)
    return Measurement(
        value=rate,
        unit=spec.unit,
        source=source,
        samples=len(rows),
        window=run.load_window,
        at_least=note is not None,
        note=note,
    )


@measures("backlog.growth")
def growth(run: Run, spec: MeasureSpec) -> Measurement:
    """Slope of the backlog over the load, its warm-up left out, with an interval that two signals share: the slope's
    confidence interval, and the mass balance (the change of the backlog from the first fifth to the last)."""
    source, rows = SOURCE.format("backlog, slope over the load (Theil–Sen on 10 block medians)"), rows_of_load(run)
    if missing := _missing(run, spec, rows, source):
        return missing
    if run.worker_lost:
        return Measurement(value=None, unit=spec.unit, source=source, why_not=run.worker_lost_reason)
    times_s = np.array([row.at_ns / NS_PER_S for row in rows]) - rows[0].at_ns / NS_PER_S
    steady = times_s >= max(WARM_UP_LEAST_S, WARM_UP_SHARE * float(times_s[-1]))
    samples = int(steady.sum())
    if samples < spec.min_samples:
        return Measurement.missing(
            Code.TOO_FEW_SAMPLES, unit=spec.unit, source=source, samples=samples, needed=spec.min_samples
        )
    trend = trend_of(times_s[steady], np.array([float(row.backlog) for row in rows])[steady])
    return Measurement(
        value=trend.slope.value,
        unit=spec.unit,
        source=source,
        samples=samples,
        window=run.load_window,
        interval=trend.interval,
        details=(
            ("ci_low", trend.slope.low),
            ("ci_high", trend.slope.high),
            ("balance", trend.balance),
            ("start", trend.start),
            ("end", trend.end),
        ),
    )
