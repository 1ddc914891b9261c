"""Interruptions of the load generator itself, as it recorded them: it stood still, or was held by its master. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from checks.measures.registry import Run
from checks.reasons import Param
from checks.windows import NS_PER_S

Interruption = Literal["stood_still", "load_held"]


def longest_interruption(run: Run, event: Interruption) -> dict[str, Param] | None:
    """Of such interruptions while the load went on, or was still arriving, the longest: who, how long, at what time of
    day (UTC), and how many there were. None without any."""
    windows = run.windows
    if windows is None:
        return None
    told = [
        (float(one["lasted_s"]), float(one["from_ns"]) / NS_PER_S, str(one["worker"] or "master"))
        for one in run.record.events
        if one["event"] == event and one.keys() >= {"lasted_s", "from_ns", "worker"}
    ]
    found = [one for one in told if one[1] < windows.drained_s and one[1] + one[0] > windows.start_s]
    if not found:
        return None
    lasted_s, from_s, who = max(found)
    at = f"{datetime.fromtimestamp(from_s, UTC):%H:%M:%S}"
    return {"who": who, "lasted_s": lasted_s, "at": at, "count": len(found)}
