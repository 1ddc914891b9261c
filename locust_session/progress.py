"""What a person sees while a run goes on: one live line on a terminal, plain timestamped lines anywhere else.

In a GitLab job these lines are a section of their own, which folds.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from locust_session.output import write
from run_record.manifest import PhasePlayed
from run_record.timeline import TimelineRow
from scenarios.plan import NS_PER_S, RunPlan
from scenarios.visible import one_line, visible

#: Without a terminal, a line this often is enough to see that the run lives, and fits a CI log.
PLAIN_EVERY_S = 10


class Progress:
    """Writes to stderr, so that stdout stays free for results. Nobody need be reading: see `output`."""

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._sections = bool(environment.get("GITLAB_CI")) and not self._live
        self._section_is_open = False
        self._seconds = 0
        self._phase = ""

    def say(self, text: str) -> None:
        """An event, on a line of its own."""
        self._section(open_=True)
        self._line(text)

    def _line(self, text: str) -> None:
        text = visible(text)
        if self._live:
            write(self._stream, f"\r\x1b[K{text}\n")
        else:
            write(self._stream, f"{datetime.now(UTC):%H:%M:%SZ} {text}\n")

    def second(self, row: TimelineRow, achieved_per_s: float, left_s: float | None) -> None:
        """A second of the run. `left_s`: the least time that the run still needs, where it can be told."""
        self._seconds += 1
        new_phase, self._phase = row.phase != self._phase, row.phase
        line = one_line(_row_line(row, achieved_per_s, left_s))
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            write(self._stream, f"\r\x1b[K{line[:width]}")
        elif new_phase or self._seconds % PLAIN_EVERY_S == 0:
            self.say(line)

    def end(self) -> None:
        """Leaves the live line as it stands. What is said later stands outside of the run's section."""
        if self._live:
            write(self._stream, "\n")
        self._section(open_=False)
        self._sections = False

    def _section(self, *, open_: bool) -> None:
        if not self._sections or open_ == self._section_is_open:
            return
        self._section_is_open = open_
        edge, title = ("start", "the run, every 10 s") if open_ else ("end", "")
        at = f"{datetime.now(UTC).timestamp():.0f}"
        write(self._stream, f"\x1b[0Ksection_{edge}:{at}:mm2gate_run\r\x1b[0K{title}\n")


def least_left_s(plan: RunPlan, phase: PhasePlayed, *, start_ns: int | None, now_ns: int) -> float:
    """The least time to the run's end: the plan's own durations, with a canary and a drain that take none."""
    scenario = plan.scenario
    after = {"canary": 3, "silence": 2, "load": 1, "rest": 1, "drain": 0, "watch": -1}[phase.kind]
    spans_s = (scenario.watch_s, 0.0, plan.load_duration_s, scenario.silence_s)
    if phase.kind in ("load", "rest") and start_ns is not None:
        current_s = plan.load_duration_s - (now_ns - start_ns) / NS_PER_S
        return max(current_s, 0.0) + scenario.watch_s
    planned_s = phase.planned_s if phase.kind in ("silence", "watch") and phase.planned_s else 0.0
    current_s = max(planned_s - (now_ns - phase.start_ns) / NS_PER_S, 0.0)
    return current_s + sum(spans_s[: after + 1])


def _row_line(row: TimelineRow, achieved_per_s: float, left_s: float | None) -> str:
    parts = [f"{row.phase:<8}", f"sent {row.sent}"]
    if row.wanted_per_s or achieved_per_s:
        parts.append(f"rate {achieved_per_s:.0f}/{row.wanted_per_s:.0f} per s")
    if row.e2e.p99_ms is not None:
        parts.append(f"e2e p99 {row.e2e.p99_ms:.0f} ms")
    elif row.e2e.max_ms is not None:
        parts.append(f"e2e max {row.e2e.max_ms:.0f} ms")
    parts.append(f"backlog {row.backlog}")
    if left_s is not None:
        parts.append(f"{_clock(left_s)} left")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    whole = max(round(seconds), 0)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
