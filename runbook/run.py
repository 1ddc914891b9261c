"""`mm2gate run`: becomes Locust, so that signals, the terminal and the exit code are Locust's own."""

from __future__ import annotations

import os
import signal
import sys
from importlib import resources
from pathlib import Path
from typing import NoReturn

import click

from scenarios import environment as environments
from scenarios.errors import SpecError


def locustfile_path(name: str) -> Path:
    """Path of a packaged locustfile."""
    return Path(str(resources.files("locustfiles"))) / f"{name}.py"


def ask_to_confirm(env: str) -> str:
    """What the person at the terminal types when `env` is a production environment; empty otherwise.

    Whether it is the right name is for the session to say, which is also asked by plain Locust.
    """
    try:
        environment = environments.load(env).environment
    except SpecError:
        return ""  # the run lists its problems, and the scenario's
    if not environment.production or not sys.stdin.isatty():
        return ""
    answer: str = click.prompt(f"{environment.name} is a PRODUCTION environment. Its name, to go on", default="")
    return answer


def locust_command(
    scenario: str, env: str, *, rehearsal: str, runs_dir: str, confirm: str = "", load: str = "own"
) -> list[str]:
    """The headless Locust command of a run. Locust's own log is kept to warnings: the session says what matters."""
    return [
        sys.executable,
        "-P",
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
        "--confirm",
        confirm,
        "--load",
        load,
    ]


def exec_locust(
    scenario: str, env: str, *, rehearsal: str, runs_dir: str, confirm: str = "", load: str = "own"
) -> NoReturn:
    """Replaces this process by the run.

    SIGTERM and Ctrl-C wait, through exec, until the session has its handlers (`locust_session.session`): during the
    second that Python and Locust take to start they would kill the process without a word.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    command = locust_command(scenario, env, rehearsal=rehearsal, runs_dir=runs_dir, confirm=confirm, load=load)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - this interpreter, no shell
