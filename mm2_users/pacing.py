"""Open-loop pacing: which records of one sender are due by now.

The run's record i is due at a fixed instant, whatever happened before; sender `index` of `senders` owns the records i
with i mod senders = index. Nothing that is due is ever skipped: after a stall it is all due at once, and its send
delay says so. Due instants are laid out in chunks, so that asking costs a binary search.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.plan import NS_PER_S, PlannedLoad, RunPlan

CHUNK_RECORDS = 8192


class DueRecords(NamedTuple):
    """Records of one load phase that are due; `due_ns` ascends."""

    phase: int
    due_ns: NDArray[np.int64]


class Pacer:
    """Hands out the due records of one sender, in order, each once."""

    def __init__(self, plan: RunPlan, *, index: int, senders: int) -> None:
        self._plan = plan
        self._index = index
        self._senders = senders
        # A staircase's steps come one by one, each when the master has decided on it.
        self._loads = [] if plan.ladder else list(enumerate(plan.loads))
        self._current = -1  # the load whose records are being laid out, of those above
        self._phase = 0
        self._handed_out = 0
        self._next_record = 0  # of the run, the first of the current load that is not laid out yet
        # The chunk twice: to be handed out, and to be looked at, which a list is several times quicker at.
        self._due_ns: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._due_list: list[int] = []
        self._place = 0
        self._lay_out()

    def play(self, phase: int, start_s: float) -> None:
        """One more load of the plan, that starts at this instant of the load's clock."""
        self._loads.append((phase, replace(self._plan.loads[phase], start_s=start_s)))
        if self.done:
            self._lay_out()

    @property
    def done(self) -> bool:
        """Whether every record that is to be sent, as far as is known, has been handed out."""
        return self._place == len(self._due_list)

    def due(self, now_ns: int, most: int) -> DueRecords | None:
        """At most `most` records due by `now_ns` on the load's clock, all of one phase; None when none is."""
        if self.done or most <= 0 or self._due_list[self._place] > now_ns:
            return None
        end = min(bisect_right(self._due_list, now_ns, self._place), self._place + most)
        due = DueRecords(self._phase, self._due_ns[self._place : end])
        self._handed_out += end - self._place
        self._place = end
        if end == len(self._due_list):
            self._lay_out()
        return due

    def due_by(self, now_ns: int) -> int:
        """How many of its records are due by now, handed out or not."""
        if self.done or now_ns < self._due_list[-1]:
            return self._handed_out + bisect_right(self._due_list, now_ns, self._place) - self._place
        return sum(
            self._owned_below(load.first_record + _due(load, now_ns)) - self._owned_below(load.first_record)
            for _, load in self._loads
        )

    def _owned_below(self, record: int) -> int:
        """How many of the run's records below this one are the sender's."""
        return (record - self._index + self._senders - 1) // self._senders

    def _lay_out(self) -> None:
        """The next chunk of due instants; chunks do not cross phases, so the phase is that of the whole chunk."""
        self._place = 0
        while self._current < 0 or self._next_record >= self._loads[self._current][1].end_record:
            if self._current + 1 >= len(self._loads):
                self._due_ns, self._due_list = self._due_ns[:0], []
                return
            self._current += 1
            first = self._loads[self._current][1].first_record
            self._next_record = first + (self._index - first) % self._senders
        self._phase, load = self._loads[self._current]
        end = min(self._next_record + CHUNK_RECORDS * self._senders, load.end_record)
        indices = np.arange(self._next_record, end, self._senders, dtype=np.int64)
        self._due_ns = self._plan.due_ns(load, indices)
        self._due_list = self._due_ns.tolist()
        self._next_record = int(indices[-1]) + self._senders


def _due(load: PlannedLoad, now_ns: int) -> int:
    """How many of a load's records are due by now, of all senders."""
    if now_ns < load.start_s * NS_PER_S:
        return 0
    return min(floor(load.profile.records_by(now_ns / NS_PER_S - load.start_s)) + 1, load.profile.record_count)
