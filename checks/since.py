"""Since when a criterion was NOGO: from the first instant of its trouble to the last, over time. Pure.

Told of criteria whose measure is also a figure over time; the value that decided may be a mean or a percentile of a
whole phase, so this is where it shows, not how it was judged. Where trouble begins is worked out in checks/onset.py: at
the limit, or, where the limit lies within what is normal, where the figure left its calm. Of records that were lost or
late, the ledger keeps their places in their streams: when they were due is worked out from how far the load had got,
and said to be about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from checks.measurement import Measurement, Window
from checks.measures import Run
from checks.measures.backlog import RECOVERED_BELOW
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.onset import Stretch, growth, troubled
from checks.series import Floats
from checks.tracks import Track, track
from checks.windows import Windows
from scenarios.conditions import Interval
from scenarios.criterion import Criterion

NS_PER_S = 1e9
#: Measure → the tracks on which it shows, the nearest first.
TRACKS_OF: Mapping[str, tuple[str, ...]] = {
    "ledger.backlog_max": ("backlog",),
    "ledger.backlog_end": ("backlog",),
    "backlog.last": ("backlog",),
    "e2e.mean": ("e2e_p50", "e2e_p99", "e2e_max"),
    "e2e.p50": ("e2e_p50", "e2e_max"),
    "e2e.p99": ("e2e_p99", "e2e_max"),
    "e2e.max": ("e2e_max",),
    "mm2.latency_avg": ("mm2_latency_avg",),
    "mm2.latency_max": ("mm2_latency_max",),
    "connect.in_flight_max": ("in_flight",),
    "connect.failed_tasks": ("failed_tasks",),
    "connect.offset_commit_max": ("offset_commit_max",),
    "connect.offset_commit_failure": ("offset_commit_failure",),
    "connect.throttle_max": ("throttle_max",),
    "connect.buffer_utilization": ("buffer",),
    "workers.cpu": ("cpu",),
    "workers.heap": ("heap",),
}
#: Measure → the track of its running total: trouble is where it grew.
TOTAL_OF: Mapping[str, str] = {"ledger.duplicated": "duplicated", "ledger.send_errors": "send_errors"}
#: Measure → the track of what should have gone on growing.
FLOW_OF: Mapping[str, str] = {"connect.poll_total": "polled", "connect.write_total": "written"}
#: Measure → what the ledger calls the examples of the records that it is about.
EXAMPLES_OF: Mapping[str, tuple[str, ...]] = {
    "ledger.lost": ("lost",),
    "ledger.late": ("late",),
    "ledger.reordered": ("reordered",),
    "ledger.corrupted": ("corrupted",),
    "ledger.arrived": ("lost", "late"),
    "ledger.backlog_end": ("lost", "late"),
}
#: Judged by the end of what is looked at: what counts is the trouble that is there then.
JUDGED_BY_THE_END = frozenset({"ledger.backlog_end", "backlog.last"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """From the first instant to the last, Unix seconds. `lasting`: until the end of what was looked at. `about`: worked
    out from the order of sending, not seen on a clock."""

    start_s: float
    end_s: float
    lasting: bool
    about: bool = False


def since(run: Run, criterion: Criterion, measurement: Measurement) -> Since | None:
    """Since when a criterion that is NOGO was so; None where no figure over time shows it."""
    if criterion.phase is not None:
        run = run.of_phase(criterion.phase)
    if run.windows is None:
        return None
    measure = criterion.measure
    if measure == "backlog.growth":
        return _grown(run, measurement)
    if measure == "backlog.recovery":
        return _not_recovered(run, run.windows)
    if measure in FLOW_OF:
        return _stood_still(run, run.windows, FLOW_OF[measure])
    return next((one for one in _shown(run, run.windows, criterion, measurement) if one is not None), None)


def _shown(run: Run, windows: Windows, criterion: Criterion, measurement: Measurement) -> Iterator[Since | None]:
    """Where a criterion's trouble may show, the nearest first."""
    measure, window = criterion.measure, measurement.window or windows.gauges
    if criterion.phase is None:
        # The ledger's examples do not say of which phase they are.
        yield _sent(run, _examples_of(measure, measurement))
    if measure in TOTAL_OF:
        yield _total(track(run, TOTAL_OF[measure]).between(window.start_s, window.end_s))
    if measure == "ledger.backlog_end":
        window = Window(start_s=windows.start_s, end_s=windows.drained_s)
    yield from (_on_track(run, criterion, name, window) for name in TRACKS_OF.get(measure, ()))


def _examples_of(measure: str, measurement: Measurement) -> tuple[str, ...]:
    """What the measure's records are called; of a latency that is infinite, they are those that never arrived."""
    if measure.startswith("e2e.") and measurement.value is not None and np.isinf(measurement.value):
        return ("lost", "late")
    return EXAMPLES_OF.get(measure, ())


def _on_track(run: Run, criterion: Criterion, name: str, window: Window) -> Since | None:
    seen = _known(track(run, name).between(window.start_s, window.end_s))
    if len(seen.values) == 0:
        return None
    wanted = run.wanted(criterion.nogo or criterion.go, criterion.measure)
    excess = _excess(seen.values, wanted, is_nogo=criterion.nogo is not None)
    found = troubled(excess, by_its_end=criterion.measure in JUDGED_BY_THE_END)
    span = _span(seen, found)
    if span is None or not name.startswith("e2e"):
        return span
    return replace(span, start_s=_still_before(run, span.start_s, window))


def _excess(values: Floats, wanted: Interval, *, is_nogo: bool) -> Floats:
    """How far each value is on the wrong side: beyond a NOGO condition's edge, or outside of a GO condition. 0 where it
    is not."""
    holds = np.array([wanted.holds(value) for value in values.tolist()], dtype=bool)
    bad = holds if is_nogo else ~holds
    edges = [edge for edge in (wanted.low, wanted.high) if np.isfinite(edge)]
    distance = np.min([np.abs(values - edge) for edge in edges], axis=0) if edges else np.abs(values)
    # On the edge itself is beyond it too, if only just.
    return np.where(bad, np.maximum(distance, np.finfo(float).tiny), 0.0)


def _known(seen: Track) -> Track:
    """Its points that are numbers."""
    numbers = ~np.isnan(seen.values)
    return replace(seen, times_s=seen.times_s[numbers], values=seen.values[numbers])


def _span(seen: Track, found: Stretch | None) -> Since | None:
    if found is None:
        return None
    first, last = (float(seen.times_s[place]) for place in found)
    return Since(start_s=first, end_s=last, lasting=found.last == len(seen.times_s) - 1)


def _still_before(run: Run, start_s: float, window: Window) -> float:
    """When what came too late was held up: the figure is known when records arrive, so the seconds just before, in
    which none did though some were awaited, are part of it."""
    rows = [row for row in run.record.timeline if window.start_s <= row.at_ns / NS_PER_S < start_s]
    for row in reversed(rows):
        if row.e2e.count or not row.backlog:
            break
        start_s = row.at_ns / NS_PER_S
    return start_s


def _total(seen: Track) -> Since | None:
    seen = _known(seen)
    return _span(seen, growth(seen.values)) if len(seen.values) else None


def _stood_still(run: Run, windows: Windows, name: str) -> Since | None:
    """The last scrape at which a counter of MM2's had grown, if that was well before the load's end."""
    seen = _known(track(run, name).between(windows.base_s, windows.drained_s))
    if len(seen.values) < 2:
        return None
    grew = np.flatnonzero(np.diff(seen.values) > 0)
    last_s = float(seen.times_s[grew[-1] + 1]) if len(grew) else windows.start_s
    if last_s >= windows.load_end_s - PATIENCE_SCRAPES * windows.scrape_s:
        return None
    return Since(start_s=max(last_s, windows.start_s), end_s=float(seen.times_s[-1]), lasting=True)


def _not_recovered(run: Run, windows: Windows) -> Since | None:
    """The stretch of too large a backlog in which the load ended."""
    seen = _known(track(run, "backlog").between(windows.start_s, windows.watched_s))
    behind = seen.times_s[seen.values >= RECOVERED_BELOW]
    calm = seen.times_s[(seen.values < RECOVERED_BELOW) & (seen.times_s <= windows.load_end_s)]
    behind = behind[behind > calm[-1]] if len(calm) else behind
    if len(behind) == 0:
        return None
    last_s = float(behind[-1])
    return Since(start_s=float(behind[0]), end_s=last_s, lasting=last_s == float(seen.times_s[-1]))


def _grown(run: Run, measurement: Measurement) -> Since | None:
    """The last instant at which the backlog was no more than it had been at the start."""
    window, start = measurement.window, measurement.detail("start")
    if window is None or start is None:
        return None
    seen = track(run, "backlog").between(window.start_s, window.end_s)
    low = np.flatnonzero(seen.values <= start)
    if len(low) == 0 or len(seen.times_s) == 0:
        return None
    return Since(start_s=float(seen.times_s[low[-1]]), end_s=float(seen.times_s[-1]), lasting=True)


def _sent(run: Run, kinds: Sequence[str]) -> Since | None:
    """When about the first and the last of these records were sent: a stream's record k of n when k/n of all were."""
    streams = (run.record.ledger or {}).get("streams", ())
    shares = [share for stream in streams for kind in kinds for share in _shares(stream, kind)]
    rows = run.record.timeline
    if not shares or not rows or rows[-1].sent == 0:
        return None
    sent = np.array([row.sent for row in rows], dtype=float) / rows[-1].sent
    times_s = np.array([row.at_ns for row in rows]) / NS_PER_S
    # The first was sent after the last row that did not have it yet, the last one by the first row that had it.
    first = max(int(np.searchsorted(sent, min(shares), side="right")) - 1, 0)
    last = min(int(np.searchsorted(sent, max(shares), side="left")), len(rows) - 1)
    lasting = max(shares) >= 0.999
    # The row before the load's first second is of the silence, in which nothing was sent.
    start_s = max(float(times_s[first]), run.windows.start_s if run.windows is not None else 0.0)
    return Since(start_s=start_s, end_s=float(times_s[last]), lasting=lasting, about=True)


def _shares(stream: Mapping[str, Any], kind: str) -> Iterator[float]:
    sent = stream["counts"]["sent"]
    for example in stream["examples"].get(kind, ()) if sent else ():
        first, end = example if isinstance(example, list) else (example, example + 1)
        yield min(first / sent, 1.0)
        yield min(end / sent, 1.0)
