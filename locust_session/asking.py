"""Has names asked before the load: by another program, as the judge is another. Locust knows neither Connect nor
Prometheus; it passes on what it was told, and refuses when that says so.

A program that cannot be started, breaks or is not heard in time refuses nothing: then nobody has been asked, and that
is said and recorded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import gevent
from gevent import subprocess

from locust_session.judge_process import environment_of_programs
from scenarios.errors import ExitCode, Refused

Moment = Literal["before_load", "canary_crossed", "canary_lost"]
BEFORE: Moment = "before_load"
#: Beyond the program's own deadline: for its start and its end on a machine that has other work.
STARTS_AND_ENDS_WITHIN_S = 20.0
#: The program's own deadline before the load, and how many scrapes it waits for when the canaries have crossed.
ASKS_FOR_S, SCRAPES = 20.0, 2
LOOK_EVERY_S = 0.05
LAST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked at a moment, and answered: each with id, outcome, sentence, advice, needed_by, again. `refusals`
    and `remarks` are the lines of it that a person is to read. `trouble`: why nobody was asked, if so."""

    moment: Moment
    answers: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    trouble: str = ""

    def refuse(self) -> None:
        """Raises Refused with all that is wrong and the verdict would rest on, if there is any."""
        if self.refusals:
            raise Refused("\n".join(self.refusals))

    def worth_asking(self, moment: Moment) -> bool:
        """Whether anything was left that can be told at a later moment."""
        return any(moment in one["again"] for one in self.answers)

    def to_json(self) -> dict[str, Any]:
        """For the run's record: names, and no other value of a configuration."""
        content: dict[str, Any] = {"moment": self.moment, "answers": [dict(one) for one in self.answers]}
        return content | ({"trouble": self.trouble} if self.trouble else {})

    @classmethod
    def nobody(cls, moment: Moment, why: str) -> Self:
        """Nothing was answered, which a person is to read too."""
        trouble = f"names were not asked for: {why}"
        return cls(moment=moment, trouble=trouble, remarks=(trouble,))


def ask(
    chosen: Mapping[str, str], moment: Moment, *, scrape_s: float, given_up: Callable[[], bool] = lambda: False
) -> Asked:
    """Starts the program and waits for it, while other greenlets go on; `chosen` are our options as text.

    Never raises: it ends with its deadline, and when it is `given_up`.
    """
    within_s = ASKS_FOR_S + STARTS_AND_ENDS_WITHIN_S + (0.0 if moment == BEFORE else SCRAPES * scrape_s)
    try:
        process = subprocess.Popen(
            _command(chosen, moment),
            start_new_session=True,  # a Ctrl-C is the run's to answer
            env=environment_of_programs(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        return Asked.nobody(moment, f"no program could be started ({error})")
    reading = gevent.spawn(process.communicate)
    try:
        with gevent.Timeout(within_s, False):
            while not reading.ready() and not given_up():
                reading.join(LOOK_EVERY_S)
        if not reading.ready():
            why = "the run is to end" if given_up() else f"not answered within {within_s:g} s"
            return Asked.nobody(moment, why)
        output, errors = reading.get()
        return _read(moment, process.returncode, output, errors)
    finally:
        if process.poll() is None:
            process.kill()
            reading.join()


def _read(moment: Moment, code: int, output: bytes, errors: bytes) -> Asked:
    try:
        content = json.loads(output)
        asked = Asked(
            moment=moment,
            answers=tuple(content["answers"]),
            refusals=tuple(map(str, content["refusals"])),
            remarks=tuple(map(str, content["remarks"])),
        )
        if code in (ExitCode.GO, ExitCode.REFUSED):
            return asked
    except (ValueError, LookupError, TypeError):
        pass  # it ended before it had an answer, and its code and last words say why
    words = errors.decode(errors="replace").strip().splitlines()
    last = words[-1][:LAST_WORDS] if words else "without a word"
    return Asked.nobody(moment, f"the program ended with {code} ({last})")


def _command(chosen: Mapping[str, str], moment: Moment) -> list[str]:
    """-P: the working directory is not ours, and may hold packages of the same names."""
    options = {
        "--env": chosen["env"],
        "--rehearsal": chosen["rehearsal"],
        "--load": chosen["load"],
        "--set": chosen["set"],
        "--moment": moment,
    }
    return [
        *(sys.executable, "-P", "-m", "runbook", "names"),
        *(f"{option}={value}" for option, value in options.items()),
        *("--", chosen["scenario"]),
    ]
