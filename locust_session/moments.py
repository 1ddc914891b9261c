"""Unix time that a step of the wall clock cannot bend: the master's, and what a node makes of the master's instants.

Each process reads its wall clock once, and goes on with its monotonic one. The two processes' readings are compared
once, when the run gathers its nodes; nobody who sets a clock after that moves the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def _wall_ns() -> int:
    return time.time_ns()  # looked up each time, as a test puts another there


def _monotonic_ns() -> int:
    return time.monotonic_ns()


class SteadyClock:
    """Reads the wall clock once, and goes on with the monotonic one. Instants are Unix nanoseconds."""

    def __init__(self, wall_ns: Clock = _wall_ns, monotonic_ns: Clock = _monotonic_ns) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.offset_ns = wall_ns() - monotonic_ns()
        self.largest_step_ns = 0

    def now_ns(self) -> int:
        """Now."""
        return self._monotonic_ns() + self.offset_ns

    def wall_step_ns(self) -> int:
        """How far the wall clock has moved away since the start (NTP's slewing, or someone setting it)."""
        step_ns = self._wall_ns() - self.now_ns()
        if abs(step_ns) > abs(self.largest_step_ns):
            self.largest_step_ns = step_ns
        return step_ns


class MasterClock(SteadyClock):
    """The master's. `told_ns` gives its instants as nodes are told them."""

    _told_step_ns = 0

    def begin_to_tell(self) -> None:
        """From here on instants are told by the wall clock as it is now, which someone may have set since the run
        began, and nodes compare with theirs; and by that one reading of it, whoever sets it later."""
        self._told_step_ns = self.wall_step_ns()

    def told_ns(self, at_ns: int | None = None) -> int:
        """An instant of this clock, now if none is given, as nodes are told it."""
        return (self.now_ns() if at_ns is None else at_ns) + self._told_step_ns

    def of_told_ns(self, told_ns: int) -> int:
        """The inverse."""
        return told_ns - self._told_step_ns


class NodeClock:
    """A node's clock beside the master's, from their comparison on."""

    def __init__(self, wall_ns: Clock = _wall_ns, monotonic_ns: Clock = _monotonic_ns) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._spoke_ns = monotonic_ns()
        self._own = SteadyClock(wall_ns, monotonic_ns)
        self.ahead_ns = 0
        """How far it is proven to be ahead of the master's (below 0: behind)."""

    def spoke(self) -> None:
        """The node says its first word, of which the master will tell when it heard it."""
        self._spoke_ns = self._monotonic_ns()

    def compare(self, *, heard_unix_ns: int, now_unix_ns: int) -> int:
        """Takes up the pair of clocks, and what two messages prove of the master's; how far it is ahead.

        A message arrives after it was sent, however long it took: what this node said cannot have been heard before, so
        that it is ahead by so much at least; and what it hears now was not said later, so that it is ahead by no more.
        Between the two nothing is proven: a busy node hears late.
        """
        self._own = SteadyClock(self._wall_ns, self._monotonic_ns)
        least_ns = self._spoke_ns + self._own.offset_ns - heard_unix_ns
        most_ns = self._own.now_ns() - now_unix_ns
        self.ahead_ns = max(least_ns, 0) + min(most_ns, 0)
        return self.ahead_ns

    def look_again(self, now_unix_ns: int) -> int:
        """What a later message proves; how far behind that is of what was proven before, at least.

        Nothing but a monotonic clock that stood (a machine that was suspended) makes that more than a moment.
        """
        behind_ns = max(self.ahead_ns - (self._own.now_ns() - now_unix_ns), 0)
        self.ahead_ns -= behind_ns
        return behind_ns

    def monotonic_of_ns(self, master_unix_ns: int) -> int:
        """An instant of the master's on this node's monotonic clock."""
        return master_unix_ns + self.ahead_ns - self._own.offset_ns

    def master_of_ns(self, monotonic_ns: int) -> int:
        """The inverse."""
        return monotonic_ns + self._own.offset_ns - self.ahead_ns

    def largest_step_ns(self) -> int:
        """How far the wall clock ever was from where it should have been since the comparison, as seen when asked."""
        self._own.wall_step_ns()
        return self._own.largest_step_ns
