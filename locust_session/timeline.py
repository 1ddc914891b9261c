"""Nodes' seconds → the run's timeline: one row a second, counts summed, histograms merged without loss."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from locust_session.load import Second
from run_record.histogram import LatencyHistogram
from run_record.timeline import LatencySummary, TimelineRow
from scenarios.plan import NS_PER_S, PlannedLoad, RunPlan

HISTOGRAMS_EVERY_S = 10
HISTOGRAMS_EVERY_S_LATER = 60
LATER_S = 3600


@dataclass(slots=True)
class NodeStates:
    """The latest second of each node, and the histograms that came in since the last row."""

    latest: dict[str, Second] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Nodes that were lost: what they last said still counts in the sums, but nobody waits for them."""
    _fresh: dict[str, LatencyHistogram] = field(default_factory=dict)
    _stretch: dict[str, LatencyHistogram] = field(default_factory=dict)
    _rows: int = 0
    _since_mark: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)
    """How often each has been heard."""
    _notes: list[dict[str, Any]] = field(default_factory=list)
    _noted: set[str] = field(default_factory=set)

    def take(self, node: str, second: Second) -> None:
        """A node has reported."""
        self.latest[node] = second
        self._since_mark[node] += 1
        self.reports[node] += 1
        self.note(second.notes)
        for kind, content in (("e2e", second.e2e), ("send_delay", second.send_delay)):
            if content and content["count"]:
                histogram = LatencyHistogram.from_json(content)
                self._fresh.setdefault(kind, LatencyHistogram()).merge(histogram)
                self._stretch.setdefault(kind, LatencyHistogram()).merge(histogram)

    def note(self, notes: Iterable[dict[str, Any]]) -> None:
        """What nodes say has happened; what several have seen has happened once."""
        for note in notes:
            seen = json.dumps(note, sort_keys=True)
            if seen not in self._noted:
                self._noted.add(seen)
                self._notes.append(note)

    def take_notes(self) -> list[dict[str, Any]]:
        """What has happened since this was last asked."""
        notes, self._notes = self._notes, []
        return notes

    @property
    def here(self) -> list[str]:
        """Nodes that have been heard, and were not lost."""
        return [node for node in self.latest if node not in self.gone]

    def total(self, name: str) -> int:
        """The sum of a count over the nodes."""
        return sum(getattr(second, name) for second in self.latest.values())

    def largest(self, name: str) -> int:
        """The largest of a number over the nodes; 0 while there is none."""
        return max((getattr(second, name) for second in self.latest.values()), default=0)

    def smallest(self, name: str) -> int:
        """The smallest of a number over the nodes that are there; 0 while there is none."""
        return min((getattr(self.latest[node], name) for node in self.here), default=0)

    @property
    def progress(self) -> tuple[int, ...]:
        """Changes whenever anything moves: what a drain without progress is judged by."""
        return tuple(self.total(name) for name in ("acked", "failed", "unknown", "arrived", "duplicated"))

    def all(self, name: str) -> bool:
        """Whether a flag is set on every node."""
        return bool(self.latest) and all(getattr(self.latest[node], name) for node in self.here)

    def mark(self) -> None:
        """From here on, `heard_twice` and `settled` believe only what is reported later."""
        self._since_mark.clear()

    @property
    def heard_twice(self) -> bool:
        """Whether every node has reported since the mark. The first report after it may have been under way when it was
        set, so it takes the second."""
        return all(self._since_mark[node] >= 2 for node in self.here)

    @property
    def settled(self) -> bool:
        """Whether every node has sent all it will, and all of it is answered and arrived, as heard since the mark."""
        heard = self.heard_twice
        open_ = any(self.latest[node].pending or self.latest[node].missing for node in self.here)
        return heard and self.all("quiet") and not open_

    def summaries(self) -> dict[str, LatencySummary]:
        """e2e and send_delay since the last row."""
        fresh, self._fresh = self._fresh, {}
        return {kind: summary(fresh.get(kind)) for kind in ("e2e", "send_delay")}

    def histograms(self) -> dict[str, object] | None:
        """Every 10 s (60 s after the first hour) the histograms of the stretch; None in between."""
        self._rows += 1
        every = HISTOGRAMS_EVERY_S if self._rows <= LATER_S else HISTOGRAMS_EVERY_S_LATER
        if self._rows % every or not self._stretch:
            return None
        stretch, self._stretch = self._stretch, {}
        return {kind: histogram.to_json() for kind, histogram in stretch.items()}


def row_of(
    plan: RunPlan,
    states: NodeStates,
    *,
    at_ns: int,
    phase: str,
    start_ns: int | None,
    wall_step_ns: int,
    loads: Sequence[PlannedLoad] | None = None,
) -> TimelineRow:
    """The row of this second. `start_ns`: second 0 of the load, once it is known. `loads`: those that are played, where
    the plan leaves that open. Takes the fresh histograms away."""
    loads = plan.loads if loads is None else loads
    records = sum(load.profile.record_count for load in loads)
    at_s = None if start_ns is None else (at_ns - start_ns) / NS_PER_S
    summaries = states.summaries()
    return TimelineRow(
        at_ns=at_ns,
        phase=phase,
        wanted_per_s=0.0 if at_s is None else plan.records_per_s(at_s, loads),
        wanted=0 if at_s is None else min(round(plan.records_by(at_s, loads)), records),
        due=states.total("due"),
        **{name: states.total(name) for name in ("sent", "acked", "failed", "unknown", "arrived", "duplicated")},
        backlog=states.total("missing"),
        e2e=summaries["e2e"],
        send_delay=summaries["send_delay"],
        wall_step_ns=wall_step_ns,
        workers=len(states.latest),
        histograms=states.histograms(),
    )


def summary(histogram: LatencyHistogram | None) -> LatencySummary:
    """In milliseconds; None where there is nothing, or too little for the percentile to be one of the values."""
    if histogram is None or histogram.count == 0:
        return LatencySummary(count=0, p50_ms=None, p99_ms=None, max_ms=None)
    p99_ms = histogram.percentile_ms(99) if histogram.count >= 100 else None
    return LatencySummary(
        count=histogram.count,
        p50_ms=_finite(histogram.percentile_ms(50)),
        p99_ms=None if p99_ms is None else _finite(p99_ms),
        max_ms=histogram.max_ms,
    )


def _finite(value_ms: float) -> float | None:
    return value_ms if math.isfinite(value_ms) else None
