"""The timeline: one row a second of what was wanted, sent, acknowledged and arrived. Counts run on from the start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

# Slots, not models: a day has 86 400 rows, and a model takes five times the memory.
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class LatencySummary:
    """Of the durations recorded since the row before, in milliseconds; None where there were none."""

    count: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class TimelineRow:
    """One second. Canaries are not counted.

    `at_ns`: Unix epoch. `wanted`: records due by now; `due`: those due when the nodes last counted what they had sent.
    `wall_step_ns`: wall clock minus monotonic clock, less its value at the start. `histograms` every 10 s: those of the
    stretch since the last.
    """

    at_ns: int
    phase: str
    wanted_per_s: float
    wanted: int
    due: int = 0
    sent: int
    acked: int
    failed: int
    unknown: int
    arrived: int
    duplicated: int
    backlog: int
    e2e: LatencySummary
    send_delay: LatencySummary
    wall_step_ns: int
    workers: int
    histograms: dict[str, Any] | None = None

    @classmethod
    def from_line(cls, line: str | bytes) -> TimelineRow:
        """The inverse of `to_json`, from its text. Raises pydantic's ValidationError, which is a ValueError."""
        return _ROWS.validate_json(line)

    def to_json(self) -> dict[str, Any]:
        """What is there."""
        content: dict[str, Any] = _ROWS.dump_python(self, exclude_none=True)
        return content

    def without_histograms(self) -> TimelineRow:
        """The row alone."""
        return replace(self, histograms=None)


_ROWS = TypeAdapter(TimelineRow)
