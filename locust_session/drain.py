"""The drain: waits for what is still under way, and knows when waiting has no more sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gevent

from locust_session.timeline import NodeStates
from scenarios.plan import NS_PER_S

LOOK_EVERY_S = 0.05
#: Someone pressed Stop or a scheduler sent SIGTERM: they wait, so the drain is cut short.
HURRIED_DRAIN_S = 12.0
HURRIED_PATIENCE_S = 5.0
#: Nodes report each second. Of one that has not for so long it is not known whether anything moves.
SILENT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """`hurried()` says whether someone waits for its end; it may become true while it goes on. `now_ns()` is a clock
    that stands when this process does: what has arrived meanwhile is still to be heard."""

    cap_s: float
    patience_s: float
    hurried: Callable[[], bool]
    now_ns: Callable[[], int]

    @property
    def planned_s(self) -> float:
        """The longest that it can take, as things stand."""
        return min(self.cap_s, HURRIED_DRAIN_S) if self.hurried() else self.cap_s

    def wait(self, states: NodeStates) -> None:
        """Until nothing is missing or pending, nothing has moved for `patience` though all nodes were heard, or the
        cap; shorter when hurried."""
        began_ns = moved_ns = self.now_ns()
        hurried_ns = None
        last = states.progress
        reports: dict[str, tuple[int, int]] = {}
        states.mark()
        while True:
            gevent.sleep(LOOK_EVERY_S)
            now_ns = self.now_ns()
            if self.hurried() and hurried_ns is None:
                hurried_ns = now_ns
            for node in states.here:
                if states.reports[node] != reports.get(node, (0, 0))[0]:
                    reports[node] = states.reports[node], now_ns
            silent = any(now_ns - at_ns > SILENT_S * NS_PER_S for _, at_ns in reports.values())
            if states.progress != last or silent:
                moved_ns, last = now_ns, states.progress
            patience_s = self.patience_s if hurried_ns is None else min(self.patience_s, HURRIED_PATIENCE_S)
            ends_ns = began_ns + round(self.cap_s * NS_PER_S)
            if hurried_ns is not None:
                ends_ns = min(ends_ns, hurried_ns + round(HURRIED_DRAIN_S * NS_PER_S))
            if states.settled or now_ns - moved_ns > patience_s * NS_PER_S or now_ns >= ends_ns:
                return
