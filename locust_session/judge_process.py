"""Starts the judge: on a sealed record, and beside a run that goes on. Locust never decides: the judge is another
program, with an exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from gevent import subprocess

from run_record.store import looks_of
from scenarios.errors import ExitCode

#: What a follower that was told to end may take for it.
ENDS_WITHIN_S = 5.0
PROJECT_ROOT = Path(__file__).resolve().parents[1]


def judge(run_directory: Path) -> tuple[int, str]:
    """Judges the run; the exit code, and what the judge printed. Other greenlets go on meanwhile.

    In a session of its own, so that a Ctrl-C that ends the load does not end the judgement of what was sent.
    """
    process = subprocess.Popen(
        _command(run_directory), start_new_session=True, env=environment_of_programs(), stdout=subprocess.PIPE
    )
    output, _ = process.communicate()
    code = process.returncode
    # Killed by a signal, or ended by Python itself (1: a crash, 2: bad arguments): no verdict was reached.
    return (code if code in set(ExitCode) else int(ExitCode.INTERNAL)), output.decode(errors="replace")


def follow(run_directory: Path) -> subprocess.Popen[bytes]:
    """Starts the judge beside a run that goes on; it writes live/ at a low priority, and ends with the record's seal.

    What it says goes to live/follow.log: nothing that happens to it may reach the run, or the terminal. A process group
    of its own keeps Ctrl-C from it; it stays in the run's session, since Linux shares the CPU among sessions before it
    looks at the niceness of what runs in each (sched(7), autogroup).
    """
    live = run_directory / "live"
    live.mkdir(exist_ok=True)
    with (live / "follow.log").open("ab") as log:
        return subprocess.Popen(
            [*_command(run_directory), "--follow"],
            process_group=0,
            env=environment_of_programs(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def stop_request(run_directory: Path) -> dict[str, Any] | None:
    """What the judge that looks on asks for: that the load end, and for which criterion. None while it does not."""
    try:
        content: dict[str, Any] = json.loads((run_directory / "live" / "stop-request.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def end(follower: subprocess.Popen[bytes], run_directory: Path) -> None:
    """Ends it, if it has not ended by itself; nothing of its reading stays."""
    if follower.poll() is not None:
        return
    follower.terminate()
    try:
        follower.wait(timeout=ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        follower.kill()
        follower.wait()
        shutil.rmtree(looks_of(run_directory, follower.pid), ignore_errors=True)


def _command(run_directory: Path) -> list[str]:
    # -P: the working directory is not ours, and may hold packages of the same names.
    return [sys.executable, "-P", "-m", "runbook", "judge", str(run_directory)]


def environment_of_programs() -> dict[str, str]:
    """Of a program of ours: it finds our packages, wherever it is started, and says what it says in UTF-8, whatever the
    terminal is that it may come to."""
    path = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
