"""Asks all that is worth asking at a moment, within a deadline: what `mm2gate run`, Locust and the web UI start as a
program, and what `mm2gate run` asks itself before it changes a connector.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from runbook.preflight.answers import Answer, Moment, not_told, refusals, remarks
from runbook.preflight.connect import connect_answers, lost_canary_answers
from runbook.preflight.fetch import ask_connect, ask_prometheus
from runbook.preflight.metrics import metric_answers
from runbook.preflight.needs import Needs
from scenarios.errors import Refused
from scenarios.plan import RunPlan

SCHEMA = 1
#: For all questions before the load. When the canaries have crossed, scrapes are waited for as well.
TOTAL_S = 20.0
#: What is missing is looked for once more before anybody is refused for it: in Prometheus after a scrape or so.
LOOKS_AGAIN_WITHIN_S = 6.0
CONNECT_SETTLES_S = 1.0
#: By then Prometheus must have scraped what the canaries left behind.
SCRAPES_AFTER_CANARY = 2
SETTLES_S = 3.0
LOOK_EVERY_S = 1.0
PARENT_LOOK_S = 0.2


class _TimeUpError(BaseException):
    """Unwinds whatever waits; not an Exception, which somebody on the way might take for a failure of its own."""


def ask(plan: RunPlan, *, load: str = "own", moment: Moment = Moment.BEFORE) -> tuple[Answer, ...]:
    """Every question of a moment, answered: what is not told by the deadline is not told. For the main thread."""
    needs = Needs.of(plan, load=load)
    scrape_s = plan.environment.prometheus.scrape_interval
    total_s = TOTAL_S + (SCRAPES_AFTER_CANARY * scrape_s if moment is Moment.CROSSED else 0.0)
    answers: list[Answer] = []
    try:
        with _within(total_s):
            for answer in _answers(plan, needs, moment):
                answers.append(answer)  # noqa: PERF402 - what was told before time is up stays
    except _TimeUpError:
        answers.append(not_told("names", f"not all names were asked for within {total_s:g} s", Moment.CROSSED))
    return tuple(answers)


def refuse(answers: Sequence[Answer]) -> None:
    """Raises Refused with all that is wrong, a line each, if a required criterion rests on any of it."""
    if lines := refusals(answers):
        raise Refused("\n".join(lines))


def to_json(answers: Sequence[Answer], moment: Moment) -> str:
    """As a program that had them asked reads them: the answers, and the lines that a person is to read."""
    content = {
        "schema": SCHEMA,
        "answers": [answer.to_json() for answer in answers],
        "refusals": refusals(answers),
        "remarks": remarks(answers, moment),
    }
    return json.dumps(content)


def end_with_parent() -> None:
    """From now on this process ends as soon as the one that started it has."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _answers(plan: RunPlan, needs: Needs, moment: Moment) -> Iterator[Answer]:
    if plan.environment.connect.urls and moment is not Moment.CROSSED:
        yield from _settled(lambda: _connect_answers(plan, needs, moment), CONNECT_SETTLES_S, CONNECT_SETTLES_S)
    if needs.roles and moment is not Moment.LOST:
        scrape_s = plan.environment.prometheus.scrape_interval
        once_s = min(scrape_s + LOOK_EVERY_S, LOOKS_AGAIN_WITHIN_S)
        patience_s, pause_s = (
            (SCRAPES_AFTER_CANARY * scrape_s + SETTLES_S, LOOK_EVERY_S)
            if moment is Moment.CROSSED
            else (once_s, once_s)
        )
        yield from _settled(lambda: _metric_answers(plan, needs, moment), patience_s, pause_s)


def _settled(look: Callable[[], Sequence[Answer]], patience_s: float, pause_s: float) -> Sequence[Answer]:
    """What a look tells; while it would refuse, another may tell better: whoever is asked may be a moment behind."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answers = look()
        if not any(answer.refused for answer in answers) or time.monotonic() >= deadline_s:
            return answers
        time.sleep(pause_s)


def _connect_answers(plan: RunPlan, needs: Needs, moment: Moment) -> Sequence[Answer]:
    seen = ask_connect(plan.loaded_environment)
    answers = connect_answers if moment is Moment.BEFORE else lost_canary_answers
    return list(answers(plan, needs, seen))


def _metric_answers(plan: RunPlan, needs: Needs, moment: Moment) -> Sequence[Answer]:
    seen = ask_prometheus(plan.loaded_environment, needs)
    if isinstance(seen, str):
        return [not_told("prometheus", f"Prometheus was not asked for names: {seen}", Moment.CROSSED)]
    return list(metric_answers(plan.loaded_environment, needs, seen, moment))


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises _TimeUpError in the block, whatever it waits for, when it has not ended by then."""

    def time_up(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUpError

    before = signal.signal(signal.SIGALRM, time_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
