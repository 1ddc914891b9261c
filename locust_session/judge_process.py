"""Starts the judge: on a sealed record, and beside a run that goes on. Locust never decides: the judge is another
program, with an exit code."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from gevent import subprocess

from run_record.store import looks_of, open_private, private_directory
from scenarios import environment as environments
from scenarios.environment import LoadedEnvironment
from scenarios.errors import ExitCode, SpecError

#: What a follower that was told to end may take for it.
ENDS_WITHIN_S = 5.0
LOG = logging.getLogger("mm2gate.session")
PROJECT_ROOT = Path(__file__).resolve().parents[1]


def judge(run_directory: Path, environment: Path | None = None) -> tuple[int, str]:
    """Judges the run; the exit code, and what the judge printed. Other greenlets go on meanwhile. `environment` is the
    file that was played: without it the judge asks nobody.

    In a session of its own, so that a Ctrl-C that ends the load does not end the judgement of what was sent.
    """
    process = subprocess.Popen(
        _command(run_directory, environment),
        start_new_session=True,
        env=environment_of_programs(),
        stdout=subprocess.PIPE,
    )
    output, _ = process.communicate()
    code = process.returncode
    # Killed by a signal, or ended by Python itself (1: a crash, 2: bad arguments): no verdict was reached.
    return (code if code in set(ExitCode) else int(ExitCode.INTERNAL)), output.decode(errors="replace")


def follow(run_directory: Path, environment: Path | None = None) -> subprocess.Popen[bytes]:
    """Starts the judge beside a run that goes on; it writes live/ at a low priority, and ends with the record's seal.

    What it says goes to live/follow.log: nothing that happens to it may reach the run, or the terminal. A process group
    of its own keeps Ctrl-C from it; it stays in the run's session, since Linux shares the CPU among sessions before it
    looks at the niceness of what runs in each (sched(7), autogroup).
    """
    live = run_directory / "live"
    private_directory(live, exist_ok=True)
    with os.fdopen(open_private(live / "follow.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as log:
        return subprocess.Popen(
            [*_command(run_directory, environment), "--follow"],
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


def played_file(played: LoadedEnvironment) -> Path | None:
    """The file of the environment that was played, while it says what it said then; None, and a word in the log, when
    it has changed or is gone: the judge must not ask others than those who were there."""
    try:
        if environments.load(str(played.file)).text == played.text:
            return played.file
        why = "has changed since the run began"
    except SpecError:
        why = "cannot be read any more"
    LOG.warning("%s %s: judged offline; when it is right again, `mm2gate judge RUN --env` it", played.file, why)
    return None


def _command(run_directory: Path, environment: Path | None) -> list[str]:
    # -P: the working directory is not ours, and may hold packages of the same names.
    command = [sys.executable, "-P", "-m", "runbook", "judge", str(run_directory)]
    return command if environment is None else [*command, "--env", str(environment)]


def environment_of_programs() -> dict[str, str]:
    """Of a program of ours: it finds our packages, wherever it is started, and says what it says in UTF-8, whatever the
    terminal is that it may come to."""
    path = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
