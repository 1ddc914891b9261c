"""Ctrl-C, SIGTERM and the terminal's end in a command that has begun something: `runbook.__main__` leaves at once,
which is too early then.

interruptible(…)        from here on a signal raises KeyboardInterrupt, and what was changed is put back on the way out
with finishing(…):      what may not be cut short: a signal is answered with a sentence, and changes nothing
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: The signals that ask for an end. A terminal that is closed does not where nohup has it ignored.
ENDING = (
    signal.SIGINT,
    signal.SIGTERM,
    *((signal.SIGHUP,) if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else ()),
)


def interruptible(then: str) -> None:
    """Each raises KeyboardInterrupt, for the rest of this process; `then` says what is still done before it ends.

    Those that whoever started us has blocked (`runbook.child`) are let through, one that has come already included.
    """

    def raise_it(number: int, _: FrameType | None) -> None:
        _say(f"ended by {signal.Signals(number).name}; {then}")
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, raise_it)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextmanager
def finishing(what: str) -> Iterator[None]:
    """While the block runs, each is answered with `what`, and nothing else comes of it."""

    def answer(_: int, __: FrameType | None) -> None:
        _say(what)

    before = {number: signal.signal(number, answer) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    # Not print: a handler may run in the middle of one. The terminal may be what has ended.
    with suppress(OSError):
        os.write(2, f"mm2gate: {text}\n".encode())
