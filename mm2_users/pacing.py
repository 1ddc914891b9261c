"""Open-loop pacing: which records of one sender are due by now.

The run's record i is due at a fixed instant, whatever happened before; sender `index` of `senders` owns the records i
with i mod senders = index. Nothing that is due is ever skipped: after a stall it is all due at once, and its send
delay says so. Due instants are laid out in chunks, so that asking costs a binary search.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from scenarios.plan import NS_PER_S, RunPlan

CHUNK_RECORDS = 8192


@dataclass(frozen=True, slots=True)
class DueRecords:
    """Records of one load phase that are due; `due_ns` ascends."""

    phase: int
    due_ns: NDArray[np.int64]


class Pacer:
    """Hands out the due records of one sender, in order, each once."""

    def __init__(self, plan: RunPlan, *, index: int, senders: int) -> None:
        self._plan = plan
        self._index = index
        self._senders = senders
        self._phase = 0
        self._handed_out = 0
        self._next_record = index  # of the run, the first not laid out yet
        self._due_ns: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._place = 0
        self._lay_out()

    @property
    def done(self) -> bool:
        """Whether every record of the plan has been handed out."""
        return self._place == len(self._due_ns)

    def due(self, now_ns: int, most: int) -> DueRecords | None:
        """At most `most` records due by `now_ns` on the load's clock, all of one phase; None when none is."""
        if self.done or most <= 0 or self._due_ns[self._place] > now_ns:
            return None
        end = int(np.searchsorted(self._due_ns, now_ns, side="right"))
        end = min(end, self._place + most)
        due = DueRecords(self._phase, self._due_ns[self._place : end])
        self._place = end
        self._handed_out += len(due.due_ns)
        if end == len(self._due_ns):
            self._lay_out()
        return due

    def due_by(self, now_ns: int) -> int:
        """How many of its records are due by now, handed out or not."""
        if self.done or now_ns < int(self._due_ns[-1]):
            return self._handed_out + int(np.searchsorted(self._due_ns[self._place :], now_ns, side="right"))
        due = sum(
            min(floor(load.profile.records_by(now_ns / NS_PER_S - load.start_s)) + 1, load.profile.record_count)
            for load in self._plan.loads
            if now_ns >= load.start_s * NS_PER_S
        )
        return (due - self._index + self._senders - 1) // self._senders

    def _lay_out(self) -> None:
        """The next chunk of due instants; chunks do not cross phases, so the phase is that of the whole chunk."""
        loads = self._plan.loads
        phase = next((k for k, load in enumerate(loads) if self._next_record < load.end_record), None)
        self._place = 0
        if phase is None:
            self._due_ns = self._due_ns[:0]
            return
        end = min(self._next_record + CHUNK_RECORDS * self._senders, loads[phase].end_record)
        indices = np.arange(self._next_record, end, self._senders, dtype=np.int64)
        self._phase = phase
        self._due_ns = self._plan.due_ns(loads[phase], indices)
        self._next_record = int(indices[-1]) + self._senders
