"""The timeline: one row a second of what was wanted, sent, acknowledged and arrived. Counts run on from the start."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from run_record.edition import Edition
from run_record.reading import Unreadable, problems_of

# Slots, not models: a day has 86 400 rows, and a model takes five times the memory.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_MOST = 2**63 - 1
Count = Annotated[int, Field(ge=0, le=_MOST)]
StepNs = Annotated[int, Field(ge=-_MOST, le=_MOST)]
Milliseconds = Annotated[float, Field(ge=-_MOST, le=_MOST)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class LatencySummary:
    """Of the durations recorded since the row before, in milliseconds; None where there were none."""

    count: Count
    p50_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None
    max_ms: Milliseconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class TimelineRow:
    """One second. Canaries are not counted.

    `at_ns`: Unix epoch. `wanted`: records due by now; `due`: those due when the nodes last counted what they had sent.
    `wall_step_ns`: wall clock minus monotonic clock, less its value at the start. `histograms` every 10 s: those of the
    stretch since the last.
    """

    at_ns: Count
    phase: str
    wanted_per_s: Annotated[float, Field(ge=0, le=_MOST)]
    wanted: Count
    due: Count = 0
    sent: Count
    acked: Count
    failed: Count
    unknown: Count
    arrived: Count
    duplicated: Count
    backlog: Count
    e2e: LatencySummary
    send_delay: LatencySummary
    wall_step_ns: StepNs
    workers: Count
    histograms: dict[str, Any] | None = None

    @classmethod
    def from_line(cls, line: str | bytes) -> TimelineRow:
        """The inverse of `to_json`, from its text. Raises pydantic's ValidationError, which is a ValueError."""
        return _ROWS.validate_json(line)

    @classmethod
    def read(cls, line: bytes, *, edition: Edition) -> TimelineRow:
        """A row of a record of an edition. Raises Unreadable, also where a key is missing that the edition has."""
        try:
            row = _ROWS.validate_json(line)
        except ValidationError as error:
            raise next(problems_of(error)) from None
        # `due` came while schema 1 was being written. Of a key that stands nowhere its name does not either.
        if edition > Edition.FIRST and b'"due"' not in line:
            raise Unreadable("missing", where="due")
        return row

    def to_json(self) -> dict[str, Any]:
        """What is there."""
        content: dict[str, Any] = _ROWS.dump_python(self, exclude_none=True)
        return content

    def without_histograms(self) -> TimelineRow:
        """The row alone."""
        return replace(self, histograms=None)


_ROWS = TypeAdapter(TimelineRow)
