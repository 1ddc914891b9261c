"""Latencies of one kind as they come in, in ns: an array a step, put into histograms once a second."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from run_record.histogram import LatencyHistogram


@dataclass(slots=True)
class Latencies:
    """Durations in ns since the last second, by phase index."""

    arrays: dict[int, list[NDArray[np.int64]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, phase: int, durations_ns: NDArray[np.int64]) -> None:
        self.arrays[phase].append(durations_ns)

    def flush_into(self, phases: dict[int, LatencyHistogram]) -> tuple[LatencyHistogram, NDArray[np.int64]]:
        """Adds them to the phases' histograms; the histogram of all of them, and all of them."""
        second, everything = LatencyHistogram(), []
        for phase, arrays in self.arrays.items():
            durations_ns = np.concatenate(arrays)
            part = LatencyHistogram()
            part.record_ns(durations_ns)
            phases[phase].merge(part)
            second.merge(part)
            everything.append(durations_ns)
        self.arrays.clear()
        return second, np.concatenate(everything) if everything else np.empty(0, dtype=np.int64)
