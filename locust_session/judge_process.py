"""Starts the judge on a sealed record. Locust never decides: the judge is another program, with an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gevent import subprocess

from scenarios.errors import ExitCode

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def judge(run_directory: Path) -> tuple[int, str]:
    """Judges the run; the exit code, and what the judge printed. Other greenlets go on meanwhile.

    In a session of its own, so that a Ctrl-C that ends the load does not end the judgement of what was sent.
    """
    command = [sys.executable, "-m", "runbook", "judge", str(run_directory)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, start_new_session=True, env=environment, stdout=subprocess.PIPE)
    output, _ = process.communicate()
    code = process.returncode
    # Killed by a signal, or ended by Python itself (1: a crash, 2: bad arguments): no verdict was reached.
    return (code if code in set(ExitCode) else int(ExitCode.INTERNAL)), output.decode(errors="replace")
