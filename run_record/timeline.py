"""The timeline: one row a second of what was wanted, sent, acknowledged and arrived. Counts run on from the start."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from scenarios.yaml_file import StrictModel


class LatencySummary(StrictModel):
    """Of the durations recorded since the row before, in milliseconds; None where there were none."""

    count: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class TimelineRow(StrictModel):
    """One second. Canaries are not counted. `histograms` every 10 s: those of the stretch since the last."""

    at_ns: int = Field(description="Unix epoch")
    phase: str
    wanted_per_s: float
    wanted: int = Field(description="records due by now")
    due: int = Field(0, description="records due when the nodes last counted what they had sent")
    sent: int
    acked: int
    failed: int
    unknown: int
    arrived: int
    duplicated: int
    backlog: int
    e2e: LatencySummary
    send_delay: LatencySummary
    wall_step_ns: int = Field(description="wall clock minus monotonic clock, less its value at the start")
    workers: int
    histograms: dict[str, Any] | None = None
