"""Programs that `make demo` and `make ui` run one after another, so that a signal never leaves a lab behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

from runbook.child import answer_of
from runbook.signals import ENDING


class Children:
    """Runs one child at a time. A signal is the child's to answer: it ends, and we go on to take the lab down.

    Each is a process group of its own: what a terminal sends to its foreground reaches us only, and the child once.
    Being in the background, it may not touch the terminal's settings, so it is given no input.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._heard: list[int] = []
        self._output: int | None = None
        for number in ENDING:
            signal.signal(number, self._stop)

    @property
    def stopped(self) -> bool:
        """Whether a signal came."""
        return bool(self._heard)

    def run(self, *arguments: str) -> int:
        """`python` with these arguments; its exit code, which is always one of ours."""
        before = len(self._heard)
        with subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            process_group=0,
        ) as child:
            self._child = child
            for number in self._heard[before:]:  # while there was nobody yet to tell
                child.send_signal(number)
            code = child.wait()
            self._child = None
        return answer_of(code)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._heard.append(number)
        if number == signal.SIGHUP:
            self._output = subprocess.DEVNULL  # the terminal is gone, and no reason to fail
        if self._child is not None:
            self._child.send_signal(number)
