"""`mm2gate run`: becomes Locust, so that signals, the terminal and the exit code are Locust's own."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import NoReturn

import click

from runbook.signals import ENDING, interruptible
from scenarios import environment as environments
from scenarios import scenario as scenarios
from scenarios.errors import Problem, SpecError
from scenarios.judged_run import verdict_file
from scenarios.plan import load_plan, parse_rehearsal
from scenarios.scenario import LoadedScenario
from scenarios.variables import parse_settings, resolved


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `mm2gate run` was asked for. `settings` as in "capacity=7000/s"; `baseline` is a run directory; `language`
    that of the reports."""

    scenario: str
    env: str
    rehearsal: str = "1"
    runs_dir: str = "runs"
    confirm: str = ""
    load: str = "own"
    settings: str = ""
    baseline: str = ""
    language: str = "fr"


def play(wanted: Wanted) -> int:  # noqa: RET503 - Locust takes this process over
    """Plays it: as Locust, in the place of this process; or, where something must be done after it, as a child.

    What is wrong with the files is said by the session, all at once, whichever way it is played.
    """
    _require_language(wanted.language)
    # The judge is a process of its own, some way down: it finds this here, and the baseline too.
    os.environ["MM2GATE_LANG"] = wanted.language
    if wanted.baseline:
        if verdict_file(Path(wanted.baseline)) is None:
            message = f"{wanted.baseline} is no judged run; give the directory of one"
            raise SpecError([Problem(file="--baseline", key="", message=message)])
        os.environ["MM2GATE_BASELINE"] = str(Path(wanted.baseline).resolve())
    values = resolved(parse_settings(wanted.settings), rehearsed=parse_rehearsal(wanted.rehearsal) != 1)
    wanted = replace(wanted, settings=",".join(f"{name}={value}" for name, value in values.items()))
    try:
        loaded = scenarios.load(wanted.scenario, settings=values)
    except SpecError:
        exec_locust(wanted)
    if loaded.scenario.variants and loaded.unset:
        return _play_variants(wanted, loaded)
    if loaded.scenario.connector.tasks_max is not None:
        return _play_with_tasks(wanted, loaded.scenario.connector.tasks_max)
    exec_locust(wanted)


def _require_language(language: str) -> None:
    from checks.words import Words

    Words.load(language)


def _play_variants(wanted: Wanted, loaded: LoadedScenario) -> int:
    from runbook.series import Series

    arguments = (wanted.scenario, "--env", wanted.env, "--rehearsal", wanted.rehearsal, "--load", wanted.load)
    interruptible("the series ends here")
    series = Series(
        loaded=loaded,
        arguments=(*arguments, "--confirm", wanted.confirm),
        runs_directory=Path(wanted.runs_dir),
    )
    return series.play()


def _play_with_tasks(wanted: Wanted, tasks: int) -> int:
    from runbook.child import run_child
    from runbook.connector import tasks_max
    from runbook.preflight.program import ask, refuse

    plan = load_plan(wanted.scenario, wanted.env, rehearsal=wanted.rehearsal, settings=wanted.settings)
    plan.environment.require_confirmed(wanted.confirm)
    refuse(ask(plan, load=wanted.load))  # before anything is changed on a connector that may not be the one meant
    interruptible("tasks.max is put back first")
    with tasks_max(plan.loaded_environment, tasks, Path(wanted.runs_dir)):
        return run_child(locust_command(wanted))


def locust_command(wanted: Wanted) -> list[str]:
    """The headless Locust command of a run. Locust's own log is kept to warnings: the session says what matters."""
    options = {
        "--scenario": wanted.scenario,
        "--env": wanted.env,
        "--rehearsal": wanted.rehearsal,
        "--runs-dir": wanted.runs_dir,
        "--confirm": wanted.confirm,
        "--load": wanted.load,
        "--set": wanted.settings,
    }
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
        *(part for option in options.items() for part in option),
    ]


def exec_locust(wanted: Wanted) -> NoReturn:
    """Replaces this process by the run.

    SIGTERM, Ctrl-C and the terminal's end wait, through exec, until the session has its handlers
    (`locust_session.session`): during the second that Python and Locust take to start they would kill the process
    without a word.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    command = locust_command(wanted)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - this interpreter, no shell
