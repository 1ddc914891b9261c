"""Since when a criterion was NOGO: the first and the last instant at which its figure was, over time. Pure.

Told of criteria whose measure is also a figure over time; the value that decided may be a mean or a percentile of a
whole phase, so this is where it shows, not how it was judged. Of records that were lost or late, the ledger keeps
their places in their streams: when they were due is worked out from how far the load had got, and said to be about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from checks.measurement import Measurement
from checks.measures import Run
from checks.series import Floats
from checks.tracks import Track, track
from scenarios.criterion import Criterion

NS_PER_S = 1e9
#: Measure → the track on which it shows.
TRACK_OF: Mapping[str, str] = {
    "ledger.backlog_max": "backlog",
    "ledger.backlog_end": "backlog",
    "backlog.last": "backlog",
    "ledger.duplicated": "duplicated",
    "ledger.send_errors": "send_errors",
    "e2e.mean": "e2e_p50",
    "e2e.p50": "e2e_p50",
    "e2e.p99": "e2e_p99",
    "e2e.max": "e2e_max",
    "mm2.latency_avg": "mm2_latency_avg",
    "mm2.latency_max": "mm2_latency_max",
    "connect.in_flight_max": "in_flight",
    "connect.failed_tasks": "failed_tasks",
    "connect.offset_commit_max": "offset_commit_max",
    "connect.offset_commit_failure": "offset_commit_failure",
    "connect.throttle_max": "throttle_max",
    "connect.buffer_utilization": "buffer",
    "workers.cpu": "cpu",
    "workers.heap": "heap",
}
#: Measure → what the ledger calls the records' examples.
EXAMPLES_OF: Mapping[str, str] = {
    "ledger.lost": "lost",
    "ledger.late": "late",
    "ledger.reordered": "reordered",
    "ledger.corrupted": "corrupted",
}


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
    if criterion.measure == "backlog.growth":
        return _grown(run, measurement)
    if criterion.measure in EXAMPLES_OF:
        # The ledger's examples do not say of which phase they are.
        return _sent(run, EXAMPLES_OF[criterion.measure]) if criterion.phase is None else None
    if criterion.measure not in TRACK_OF:
        return None
    window = measurement.window or run.windows.gauges
    seen = track(run, TRACK_OF[criterion.measure]).between(window.start_s, window.end_s)
    bad = _refused(run, criterion, seen.values)
    return _span(seen, bad)


def _refused(run: Run, criterion: Criterion, values: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    wanted = run.wanted(criterion.nogo or criterion.go, criterion.measure)
    holds = np.array([wanted.holds(value) for value in values.tolist()], dtype=bool)
    return (holds if criterion.nogo is not None else ~holds) & ~np.isnan(values)


def _span(seen: Track, bad: np.ndarray[Any, np.dtype[np.bool_]]) -> Since | None:
    at = np.flatnonzero(bad)
    if len(at) == 0:
        return None
    known = np.flatnonzero(~np.isnan(seen.values))
    first, last = float(seen.times_s[at[0]]), float(seen.times_s[at[-1]])
    return Since(start_s=first, end_s=last, lasting=bool(at[-1] == known[-1]))


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


def _sent(run: Run, kind: str) -> Since | None:
    """When about the first and the last of these records were sent: a stream's record k of n when k/n of all were."""
    shares = [share for stream in (run.record.ledger or {}).get("streams", ()) for share in _shares(stream, kind)]
    rows = run.record.timeline
    if not shares or not rows or rows[-1].sent == 0:
        return None
    sent = np.array([row.sent for row in rows], dtype=float) / rows[-1].sent
    times_s = np.array([row.at_ns for row in rows]) / NS_PER_S
    # The first was sent after the last row that did not have it yet, the last one by the first row that had it.
    first = max(int(np.searchsorted(sent, min(shares), side="right")) - 1, 0)
    last = min(int(np.searchsorted(sent, max(shares), side="left")), len(rows) - 1)
    lasting = max(shares) >= 0.999
    return Since(start_s=float(times_s[first]), end_s=float(times_s[last]), lasting=lasting, about=True)


def _shares(stream: Mapping[str, Any], kind: str) -> Iterator[float]:
    sent = stream["counts"]["sent"]
    for example in stream["examples"].get(kind, ()) if sent else ():
        first, end = example if isinstance(example, list) else (example, example + 1)
        yield min(first / sent, 1.0)
        yield min(end / sent, 1.0)
