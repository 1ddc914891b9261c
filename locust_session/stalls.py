"""Knows when this process did not run: stopped by a signal, paused with its machine, or starved of the processor.

Such a stall is no silence of others. What they said meanwhile is still to be heard, and what is waited for has had no
chance to come; so whoever is patient here is patient by the time that the process ran, not by the time that went by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import gevent

from scenarios.plan import NS_PER_S

LOOK_EVERY_S = 0.1
#: A look that comes so late found its process standing still. Less is what a busy machine does all the time.
STALL_S = 1.0


def seconds() -> Iterator[None]:
    """Comes back each second. Those in which the process stood still are not made up for."""
    due_s = time.monotonic()
    while True:
        due_s += 1.0
        if due_s < time.monotonic():
            due_s = time.monotonic() + 1.0
        gevent.sleep(max(due_s - time.monotonic(), 0.01))
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """From the last look before it to the first one after, on the monotonic clock."""

    from_ns: int
    to_ns: int

    @property
    def lasted_s(self) -> float:
        return (self.to_ns - self.from_ns) / NS_PER_S


class Watch:
    """Looks at the clock again and again, and tells each stall once, when it is over."""

    def __init__(
        self, told: Callable[[Stall], None] = lambda _: None, *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._told = told
        self._monotonic_ns = monotonic_ns
        self._looked_ns = monotonic_ns()
        self._stood_ns = 0

    def keep(self) -> NoReturn:
        """Looks until the greenlet is killed."""
        while True:
            self.ran_ns()
            gevent.sleep(LOOK_EVERY_S)

    def ran_ns(self) -> int:
        """A clock that stands whenever the process does. Only differences mean something."""
        now_ns = self._monotonic_ns()
        late_ns = now_ns - self._looked_ns - round(LOOK_EVERY_S * NS_PER_S)
        stall = Stall(from_ns=self._looked_ns, to_ns=now_ns)
        self._looked_ns = now_ns
        if late_ns >= STALL_S * NS_PER_S:
            self._stood_ns += late_ns
            self._told(stall)
        return now_ns - self._stood_ns

    def until(
        self,
        condition: Callable[[], object],
        within_s: float | None,
        *,
        every_s: float,
        unless: Callable[[], object] = lambda: False,
    ) -> bool:
        """Waits for the condition, asked `every_s`; False when time ran out, or `unless` came true first."""
        deadline_ns = None if within_s is None else self.ran_ns() + round(within_s * NS_PER_S)
        while not condition():
            if unless() or (deadline_ns is not None and self.ran_ns() >= deadline_ns):
                return False
            gevent.sleep(every_s)
        return True
