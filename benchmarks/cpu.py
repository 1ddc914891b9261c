"""CPU time of a process with all its threads, librdkafka's and the JVM's own included, over any window of time."""

from __future__ import annotations

import bisect
import threading
import time
from dataclasses import dataclass, field

import psutil

SAMPLE_EVERY_S = 0.1


@dataclass(slots=True)
class CpuWatch:
    """Samples a process from the start of the watch until it ends; its children are not counted."""

    pid: int
    times_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> CpuWatch:
        """Begins to sample, in a thread."""
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def between(self, start_s: float, end_s: float) -> float:
        """CPU seconds spent from one Unix instant to another. ValueError when it was not watched that long."""
        return self._at(end_s) - self._at(start_s)

    def _at(self, time_s: float) -> float:
        if not self.times_s or not self.times_s[0] <= time_s <= self.times_s[-1]:
            raise ValueError("the process was not watched at that instant")
        place = max(bisect.bisect_left(self.times_s, time_s), 1)
        before_s, after_s = self.times_s[place - 1], self.times_s[place]
        share = (time_s - before_s) / (after_s - before_s)
        return self.cpu_s[place - 1] + share * (self.cpu_s[place] - self.cpu_s[place - 1])

    def _sample(self) -> None:
        try:
            process = psutil.Process(self.pid)
            while not self._ended.wait(SAMPLE_EVERY_S):
                with process.oneshot():
                    spent, rss_bytes = process.cpu_times(), process.memory_info().rss
                self.times_s.append(time.time())
                self.cpu_s.append(spent.user + spent.system)
                self.rss_bytes.append(rss_bytes)
        except psutil.Error:
            return  # it has ended
