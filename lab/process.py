"""One operating-system process, known by its pid *and* the instant it began.

A pid alone is a name that the kernel gives to somebody else later: after a reboot, or after a long time, the same
number is another program. Every question and every signal here goes to the pair, so a stranger is never touched.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

LAB_VARIABLE = "MM2GATE_LAB"
"""In the environment of every process of a lab, with the lab's own id: finds the one whose pid was not yet noted."""

# The kernel counts from boot and psutil turns that into wall time, which a clock correction shifts a little. A pid
# cannot come round again in that time.
_SAME_START_S = 2.0
_POLL_S = 0.05
_AUTOGROUP_TRIES, _AUTOGROUP_PAUSE_S = 10, 0.1

# Popen objects of our own children: polling them is what reaps them.
_children: dict[int, subprocess.Popen[bytes]] = {}


@atexit.register
def _let_go() -> None:
    """A lab outlives whoever started it: Python is told not to take its processes for forgotten ones."""
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0


class Life(StrEnum):
    """What a process is doing."""

    RUNNING = "up"
    FROZEN = "frozen"
    GONE = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """Which process."""

    pid: int
    started_s: float


def start(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str], directory: Path, niceness: int = 0
) -> ProcessId:
    """Start a program in a session of its own (a Ctrl-C in the terminal does not reach it), output to its log.

    `niceness`, from 0 to 19: how far it lets others have the CPU first, where there is not enough for all.
    """
    command = ["nice", "-n", str(niceness), *argv] if niceness else list(argv)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, **environment}, cwd=directory, start_new_session=True,
        )  # fmt: skip
    _children[child.pid] = child
    if niceness:
        _yield_to_other_sessions(child.pid, niceness)
    try:
        started_s = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:  # ended at once and was reaped: nothing alive has this pid and this instant
        started_s = time.time()
    return ProcessId(pid=child.pid, started_s=started_s)


def _yield_to_other_sessions(pid: int, niceness: int) -> None:
    """Linux shares the CPU among sessions before it looks at the niceness of what runs in each (sched(7), autogroup).
    Where it does not, there is no such file, and nothing to do."""
    for _ in range(_AUTOGROUP_TRIES):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
        except BlockingIOError:  # it takes one such wish in 100 ms, whoever's
            time.sleep(_AUTOGROUP_PAUSE_S)
        except OSError:
            return
        else:
            return


def life(process: ProcessId) -> Life:
    """Whether it runs, is frozen (SIGSTOP), or is gone.

    A zombie is gone, it only waits to be counted; but while other threads of it end, its ports and files are open.
    """
    found = _find(process)
    if found is None:
        return Life.GONE
    try:
        status = found.status()
        if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return Life.GONE if found.num_threads() <= 1 else Life.RUNNING
    except psutil.NoSuchProcess:
        return Life.GONE
    return Life.FROZEN if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else Life.RUNNING


def exit_code(process: ProcessId) -> int | None:
    """How it ended, if it was started by this very process and ended."""
    child = _children.get(process.pid)
    return child.poll() if child is not None else None


def send(process: ProcessId, number: signal.Signals) -> bool:
    """Send a signal; False when the process is gone."""
    found = _find(process)
    if found is None:
        return False
    try:
        found.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def end(processes: Iterable[ProcessId], *, grace_s: float) -> list[ProcessId]:
    """SIGTERM to all, SIGKILL to those still there after the grace; those that had to be killed."""
    waiting = [process for process in processes if send(process, signal.SIGTERM)]
    for process in waiting:
        # A frozen process would sleep through its SIGTERM.
        send(process, signal.SIGCONT)
    stubborn = _wait_gone(waiting, timeout_s=grace_s)
    for process in stubborn:
        send(process, signal.SIGKILL)
    _wait_gone(stubborn, timeout_s=5.0)
    for child in _children.values():  # those that ended by themselves wait to be reaped too
        child.poll()
    return stubborn


def marked(lab_id: str) -> list[ProcessId]:
    """Every process of this user that was started for that lab, noted or not."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(LAB_VARIABLE) == lab_id and process.pid != os.getpid():
                found.append(ProcessId(pid=process.pid, started_s=process.create_time()))
    return found


def _wait_gone(processes: list[ProcessId], *, timeout_s: float) -> list[ProcessId]:
    deadline = time.monotonic() + timeout_s
    while True:
        processes = [process for process in processes if life(process) is not Life.GONE]
        if not processes or time.monotonic() > deadline:
            return processes
        time.sleep(_POLL_S)


def _find(process: ProcessId) -> psutil.Process | None:
    if (child := _children.get(process.pid)) is not None:
        child.poll()
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started_s) < _SAME_START_S
    except psutil.Error:
        return None
    return found if same else None
