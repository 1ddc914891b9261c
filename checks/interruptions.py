"""Interruptions of the load generator itself, as it recorded them: it stood still, or was held by its master. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from checks.measures.registry import Run
from checks.reasons import Param

Interruption = Literal["stood_still", "load_held"]


def longest_interruption(run: Run, event: Interruption) -> dict[str, Param] | None:
    """Of such interruptions while the load went on, or was still arriving, the longest: who, how long, at what time of
    day (UTC), and how many there were. None without any."""
    if run.windows is None:
        return None
    end_s = run.windows.drained_s
    found = [
        (one["lasted_s"], one["from_ns"] / 1e9, one["worker"] or "master")
        for one in run.record.events
        if one["event"] == event
        and run.windows.start_s < one["from_ns"] / 1e9 + one["lasted_s"]
        and one["from_ns"] / 1e9 < end_s
    ]
    if not found:
        return None
    lasted_s, from_s, who = max(found)
    return {
        "who": who,
        "lasted_s": lasted_s,
        "at": f"{datetime.fromtimestamp(from_s, UTC):%H:%M:%S}",
        "count": len(found),
    }
