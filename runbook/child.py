"""A run as a child of ours, where something must be done after it: signals reach it once, and it is waited for."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from runbook.signals import ENDING
from scenarios.errors import ExitCode


def run_child(command: Sequence[str]) -> int:
    """Runs it to its end, and gives its exit code.

    It is a process group of its own, so that a Ctrl-C of the terminal does not reach it twice: ours hands it on. Being
    in the background, it would be stopped for as much as touching the terminal, as Locust does for its keys: it is
    given no input. It starts with these signals blocked, as `mm2gate run` starts Locust: they wait until its session
    can take them.
    """
    with _waiting_signals():
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

        def forward(number: int, _: FrameType | None) -> None:
            if child.poll() is None:
                child.send_signal(number)

        before = {number: signal.signal(number, forward) for number in ENDING}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return answer_of(code)


def answer_of(code: int) -> int:
    """A return code as one of ours: killed by a signal (below 0) is an end, anything of Python's own a crash."""
    return code if code in set(ExitCode) else int(ExitCode.ABORTED if code < 0 else ExitCode.INTERNAL)


@contextmanager
def _waiting_signals() -> Iterator[None]:
    """A signal that comes before there is anyone to hand it on to waits until there is."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
