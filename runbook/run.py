"""`mm2gate run`: becomes Locust, so that signals, the terminal and the exit code are Locust's own."""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path
from typing import NoReturn


def locustfile_path(name: str) -> Path:
    """Path of a packaged locustfile."""
    return Path(str(resources.files("locustfiles"))) / f"{name}.py"


def locust_command(scenario: str, env: str, *, rehearsal: str, runs_dir: str) -> list[str]:
    """The headless Locust command of a run. Locust's own log is kept to warnings: the session says what matters."""
    return [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(locustfile_path("mm2")),
        "--headless",
        "--loglevel",
        "WARNING",
        "--scenario",
        scenario,
        "--env",
        env,
        "--rehearsal",
        rehearsal,
        "--runs-dir",
        runs_dir,
    ]


def exec_locust(scenario: str, env: str, *, rehearsal: str, runs_dir: str) -> NoReturn:
    """Replaces this process by the run."""
    command = locust_command(scenario, env, rehearsal=rehearsal, runs_dir=runs_dir)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - this interpreter, no shell
