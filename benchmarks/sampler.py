"""Where a hub spends its CPU time: samples the running Python function, by a timer that counts CPU time only."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.001


class HubSampler:
    """Samples the main thread, from `start` to `stop`.

    A signal is handled between two bytecodes, so time inside a call to C counts for the Python line that called it.
    The timer counts the CPU time of all threads, and most of theirs is librdkafka's: shares are of the samples.
    """

    def __init__(self) -> None:
        self._samples: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def shares(self) -> dict[str, float]:
        """Function and line → share of the samples, the largest first."""
        total = max(self._samples.total(), 1)
        return {where: count / total for where, count in self._samples.most_common()}

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        if frame is not None:
            code = frame.f_code
            self._samples[f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}"] += 1
