"""Latencies of one kind as they come in, in ns: a batch at a time, put into histograms once a second."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from run_record.histogram import LatencyHistogram


@dataclass(slots=True)
class Latencies:
    """Durations in ns since the last second, by phase index."""

    same: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """(duration, how many have it): an array for each would cost more than all else that is done with it."""
    since: dict[int, list[tuple[int, NDArray[np.int64]]]] = field(default_factory=lambda: defaultdict(list))
    """(end, starts): subtracted all at once, when the second is over."""

    def add_since(self, phase: int, starts_ns: NDArray[np.int64], end_ns: int) -> None:
        """From each of these instants to this one. The array is kept, and must stay as it is."""
        self.since[phase].append((end_ns, starts_ns))

    def add_same(self, phase: int, duration_ns: int, count: int) -> None:
        """`count` times the same."""
        self.same[phase].append((duration_ns, count))

    def flush_into(self, phases: dict[int, LatencyHistogram]) -> tuple[LatencyHistogram, NDArray[np.int64]]:
        """Adds them to the phases' histograms; the histogram of all of them, and all of them."""
        second, everything = None, []
        for phase, durations_ns in self._taken():
            part = LatencyHistogram()
            part.record_ns(durations_ns)
            phases[phase].merge(part)
            everything.append(durations_ns)
            if second is None:
                second = part  # as a rule a second has one phase, and this is all of it
            else:
                second.merge(part)
        return second or LatencyHistogram(), np.concatenate(everything or [np.empty(0, dtype=np.int64)])

    def _taken(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Each phase's durations; there are none afterwards."""
        arrays: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
        for phase, pairs in self.same.items():
            durations_ns, counts = np.array(pairs, dtype=np.int64).T
            arrays[phase].append(np.repeat(durations_ns, counts))
        for phase, stretches in self.since.items():
            ends_ns = np.repeat([end_ns for end_ns, _ in stretches], [len(starts_ns) for _, starts_ns in stretches])
            arrays[phase].append(ends_ns - np.concatenate([starts_ns for _, starts_ns in stretches]))
        self.same.clear()
        self.since.clear()
        return [(phase, np.concatenate(some)) for phase, some in arrays.items()]
