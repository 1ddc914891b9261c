"""One part of the lab: a process with a port, a log, and a way to tell that it is ready.

These are the handles that tests and faults take hold of. Each acts on this lab's process only (see `lab.process`),
and each waits for what it asked for, so the next line of a test may count on it.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import process
from lab.layout import Layout
from lab.process import Life, ProcessId
from scenarios.errors import LabError

READY_TIMEOUT_S = 90.0
STOP_GRACE_S = 10.0

_POLL_S = 0.1
_TAIL_LINES = 20


def _never() -> None:
    """Nothing interrupts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A handle; the process behind it may change (`start`) while the handle stays."""

    name: str
    port: int
    lab_id: str
    layout: Layout
    command: tuple[str, ...]
    probe: Callable[[], bool]
    noted: Callable[[str], ProcessId | None]
    note: Callable[[str, ProcessId], None]
    niceness: int = 0

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.layout.log(self.name)

    @property
    def process(self) -> ProcessId | None:
        """The process that was started last."""
        return self.noted(self.name)

    @property
    def life(self) -> Life:
        """Whether that process runs."""
        return Life.GONE if self.process is None else process.life(self.process)

    def start(self, *, wait: bool = True) -> None:
        """Start it again with the command, ports and files it had, and wait until it is ready. Running: nothing."""
        if self.life is not Life.GONE:
            return
        self.note(self.name, self.launch(self.command))
        if wait:
            self.wait_ready()

    def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End it as an operator would (SIGTERM), killing it only if it does not listen."""
        if self.process is not None:
            process.end([self.process], grace_s=grace_s)

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say goodbye."""
        if self.process is not None:
            process.send(self.process, signal.SIGKILL)
            self._wait_life(Life.GONE)

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nobody answers."""
        if self.process is not None:
            process.send(self.process, signal.SIGSTOP)
            self._wait_life(Life.FROZEN)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        if self.process is not None:
            process.send(self.process, signal.SIGCONT)
            self._wait_life(Life.RUNNING)

    def is_ready(self) -> bool:
        """Whether it runs and answers."""
        return self.life is Life.RUNNING and self.probe()

    def wait_ready(self, *, timeout_s: float = READY_TIMEOUT_S, interrupt: Callable[[], None] = _never) -> None:
        """Wait until it answers. LabError with the end of its log when it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not self.probe():
            interrupt()
            if self.life is Life.GONE:
                raise LabError(f"{self.name} ended while starting{self._how_it_ended()}; {self.last_words()}")
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self.name} does not answer on port {self.port} after {timeout_s:.0f} s; {self.last_words()}"
                )
            time.sleep(_POLL_S)
        # Whoever answers on the port must be ours: a stranger there would pass the probe while ours could not bind.
        if self.life is Life.GONE:
            raise LabError(
                f"{self.name} ended while starting, and another program answers on its port {self.port}; "
                f"{self.last_words()}"
            )

    def launch(self, command: tuple[str, ...]) -> ProcessId:
        """Start a program of this component: itself, or what prepares it."""
        scratch = self.layout.data / f"tmp-{self.name}"
        scratch.mkdir(exist_ok=True)
        environment = {process.LAB_VARIABLE: self.lab_id}
        return process.start(command, log=self.log, environment=environment, directory=scratch, niceness=self.niceness)

    def tail(self, lines: int = _TAIL_LINES) -> list[str]:
        """The last lines of its log."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as file:
                return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
        except FileNotFoundError:
            return []

    def last_words(self) -> str:
        """The end of its log, for an error's text."""
        lines = self.tail()
        return "its log ends with:\n" + "\n".join(f"    {line}" for line in lines) if lines else "its log is empty"

    def _how_it_ended(self) -> str:
        code = None if self.process is None else process.exit_code(self.process)
        return "" if code is None else f" (exit code {code})"

    def _wait_life(self, wanted: Life, *, timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while self.life is not wanted:
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is {self.life} and not {wanted} after {timeout_s:.0f} s")
            time.sleep(_POLL_S / 4)
