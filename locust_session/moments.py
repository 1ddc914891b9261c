"""The master's clock: Unix time that a step of the wall clock cannot bend."""

from __future__ import annotations

import time
from collections.abc import Callable


class MasterClock:
    """Reads the wall clock once, and goes on with the monotonic one. Instants are Unix nanoseconds."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
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
