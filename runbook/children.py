"""Programs that `make demo` and `make ui` run one after another, so that a signal never leaves a lab behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import FrameType

from runbook.child import answer_of


class Children:
    """Runs one child at a time. A signal is the child's to answer: it ends, and we go on to take the lab down."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self, *arguments: str) -> int:
        """`python` with these arguments; its exit code, which is always one of ours."""
        with subprocess.Popen([sys.executable, *arguments]) as child:
            self._child = child
            code = child.wait()
            self._child = None
        return answer_of(code)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.stopped = True
        # Ctrl-C in a terminal reaches the child by itself; SIGTERM only reaches us.
        if number == signal.SIGTERM and self._child is not None:
            self._child.send_signal(signal.SIGTERM)
