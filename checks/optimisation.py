"""Where the bottleneck is, with the figures that decided it: target, source, or capacity. Pure.

The runbook's three rows: poll ≫ write is a problem of the target; poll low is one of the source; poll = write while the
lag grows is load above capacity. A target that holds MM2 back also makes it poll less (its tasks wait in send), so the
target's signs are looked for first, and the source's only without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from checks.evaluate import measured
from checks.measures import Run, measure
from checks.measures.backlog import rate_between, rows_of_load
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.reasons import Code
from checks.tracks import track

ROWS = ("target", "source", "capacity")
#: "poll ≫ write" and "poll = write": the ratio's NOGO limit on the page, 95 %.
NEAR = 0.95
#: "poll low": less than half of what the source acknowledged.
LOW = 0.5
#: The page's GO limits of in-flight and buffer: beyond them MM2 reads faster than it can write.
IN_FLIGHT_MOST = 5000.0
BUFFER_MOST_PERCENT = 70.0
#: A pause this long in the middle of a load is none of a healthy task's.
IDLE_LEAST_S = 10.0
#: Growth of the lag that is not noise, records/s: phase 2's tolerance.
GROWTH_TOLERATED_PER_S = 1.0

_MEASURES = {
    "poll": "connect.poll_rate",
    "write": "connect.write_rate",
    "idle": "connect.poll_idle",
    "in_flight": "connect.in_flight_max",
    "buffer": "connect.buffer_utilization",
    "throttle": "connect.throttle_max",
    "backlog": "ledger.backlog_max",
}


#: What was seen was seen, however much more was not: above its limit, these are a sign of the target in any case.
_SEEN_ABOVE = {"throttle": ("throttle_max", 0.0), "in_flight": ("in_flight", IN_FLIGHT_MOST)}
#: Why a measure has no value although some of its points are to be believed.
_INCOMPLETE = frozenset(
    {Code.LOW_COVERAGE, Code.HOLE, Code.STALE, Code.STARTS_LATE, Code.TASKS_MISSING, Code.EXPORTER_MISSING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """One row: does it fit (None: it could not be told), by which signs, and every figure that was looked at."""

    row: str
    fits: bool | None
    signs: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def bottlenecks(run: Run) -> tuple[Bottleneck, ...]:
    """The three rows, in the order in which they are looked for."""
    return judged(figures_of(run), idle_least_s=_idle_least_s(run))


def figures_of(run: Run) -> dict[str, float]:
    """What could be measured, by short names: rates in records/s, `idle` in s, `throttle` in ms, `buffer` in %."""
    figures: dict[str, float] = {}
    for name, key in _MEASURES.items():
        found = measured(run, key, measure)
        value = found.value
        if found.why_not is not None and found.why_not.code in _INCOMPLETE and name in _SEEN_ABOVE:
            value = _seen_above(run, *_SEEN_ABOVE[name])
        if value is not None:
            figures[name] = value
    trend = measured(run, "backlog.growth", measure)
    if trend.value is not None and trend.interval is not None:
        figures |= {"growth": trend.value, "growth_least": trend.interval[0]}
    acked = rate_between(rows_of_load(run), lambda row: row.acked)
    if acked is not None:
        figures["acked"] = acked
    return figures


def _seen_above(run: Run, name: str, limit: float) -> float | None:
    """The largest value that was seen from the load's start to the watch's end, if it is above a limit."""
    if run.windows is None:
        return None
    seen = track(run, name).between(run.windows.start_s, run.windows.watched_s).values
    largest = float(np.nanmax(seen)) if np.isfinite(seen).any() else 0.0
    return largest if largest > limit else None


def judged(figures: Mapping[str, float], *, idle_least_s: float) -> tuple[Bottleneck, ...]:
    """The rows, from the figures."""
    target = _target_signs(figures)
    source = () if target else _source_signs(figures, idle_least_s)
    capacity = () if target or source else _capacity_signs(figures)
    known = {
        "target": bool({"throttle", "in_flight", "buffer"} & figures.keys()) or {"poll", "write"} <= figures.keys(),
        "source": bool(source) or {"poll", "acked"} <= figures.keys(),
        "capacity": {"poll", "write", "growth_least"} <= figures.keys(),
    }
    found = {"target": target, "source": source, "capacity": capacity}
    return tuple(
        Bottleneck(row=row, fits=bool(found[row]) if known[row] else None, signs=found[row], figures=figures)
        for row in ROWS
    )


def _target_signs(figures: Mapping[str, float]) -> tuple[str, ...]:
    signs = {
        "throttled": figures.get("throttle", 0) > 0,
        "poll_above_write": "write" in figures and figures["write"] < NEAR * figures.get("poll", 0),
        "in_flight_high": figures.get("in_flight", 0) > IN_FLIGHT_MOST,
        "buffer_full": figures.get("buffer", 0) > BUFFER_MOST_PERCENT,
    }
    return tuple(sign for sign, seen in signs.items() if seen)


def _source_signs(figures: Mapping[str, float], idle_least_s: float) -> tuple[str, ...]:
    poll, acked = figures.get("poll"), figures.get("acked", 0)
    signs = {
        "nothing_polled": figures.get("idle", 0) >= idle_least_s,
        "poll_low": poll is not None and poll < LOW * acked,
    }
    return tuple(sign for sign, seen in signs.items() if seen)


def _capacity_signs(figures: Mapping[str, float]) -> tuple[str, ...]:
    together = "poll" in figures and figures.get("write", 0) >= NEAR * figures["poll"] > 0
    return ("lag_grows",) if together and figures.get("growth_least", 0) > GROWTH_TOLERATED_PER_S else ()


def _idle_least_s(run: Run) -> float:
    return max(IDLE_LEAST_S, PATIENCE_SCRAPES * run.environment.prometheus.scrape_interval)
