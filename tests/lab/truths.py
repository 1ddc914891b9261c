"""The runs that tell the truth about the gate, played while other tests go on.

They spend most of their time in silence, so other tests play beside them, on a lab of their own. First all is in order,
then one thing after the other is not: MM2 paused, a transform that drops the topic, no Prometheus, a target that holds
MM2 back, MM2 paused in the middle of a load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.handles import Lab
from lab.layout import TARGET
from tests.lab.runs import COUNTERS, MM2GATE, Run

CONNECTOR = "mm2-source-connector"
REHEARSAL = ("--rehearsal", "1/40")
QUOTA_BYTES_PER_S = 60_000
"""A quarter of what the light phase 2 sends."""

Fault = Callable[[Lab], AbstractContextManager[None]]


class Truths:
    """The runs, each a future; a test waits for the one it speaks of."""

    def __init__(self, lab: Lab, phase2: Path, runs: Path) -> None:
        self._pool = ThreadPoolExecutor(1)  # one after the other, the clean one first
        submit = self._pool.submit
        self.clean: Future[Run] = submit(play, "phase1_smoke", lab, runs / "clean")
        self.paused = submit(play, COUNTERS, lab, runs / "paused", before=paused)
        self.filtered = submit(play, COUNTERS, lab, runs / "filtered", before=filtered)
        self.blind = submit(play, COUNTERS, lab, runs / "blind", during=("smoke", 0.0, blind))
        light = (str(phase2), lab)
        self.throttled = submit(play, *light, runs / "throttled", *REHEARSAL, before=throttled)
        self.stalled = submit(play, *light, runs / "stalled", *REHEARSAL, during=("nominal", 8.0, paused))

    def close(self) -> None:
        self._pool.shutdown(wait=True)


def play(
    scenario: str,
    lab: Lab,
    runs: Path,
    *options: str,
    before: Fault | None = None,
    during: tuple[str, float, Fault] | None = None,
) -> Run:
    """A run to its end, with a fault before it, or so many seconds into one of its phases; healed when it is over."""
    if before is not None:
        with before(lab):
            return play(scenario, lab, runs, *options)
    run = Run.start(scenario, lab, runs, (*MM2GATE, "run"), *options)
    if during is not None:
        phase, after_s, fault = during
        run.until_phase(phase)
        time.sleep(after_s)
        with fault(lab):
            run.wait()
    run.wait()
    return run


@contextmanager
def paused(lab: Lab) -> Iterator[None]:
    """MM2 mirrors nothing, and says so."""
    lab.connect.pause(CONNECTOR)
    try:
        yield
    finally:
        lab.connect.resume(CONNECTOR)
        lab.connect.wait_running(CONNECTOR)


@contextmanager
def blind(lab: Lab) -> Iterator[None]:
    """No Prometheus."""
    lab.component("prometheus").stop()
    try:
        yield
    finally:
        lab.component("prometheus").start()


@contextmanager
def throttled(lab: Lab) -> Iterator[None]:
    """The target lets MM2 write a part of the load only."""
    lab.throttle(TARGET, QUOTA_BYTES_PER_S)
    try:
        yield
    finally:
        lab.throttle(TARGET, None)


@contextmanager
def filtered(lab: Lab) -> Iterator[None]:
    """A transform drops the topic: MM2 polls it and writes nothing."""
    config = lab.connect.config(CONNECTOR)
    drop = {
        "transforms": "drop",
        "transforms.drop.type": "org.apache.kafka.connect.transforms.Filter",
        "transforms.drop.predicate": "ours",
        "predicates": "ours",
        "predicates.ours.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.ours.pattern": r"source\.test-prometheus\.generated-data-01\.json",
    }
    lab.connect.put_config(CONNECTOR, {**config, **drop})
    lab.connect.wait_running(CONNECTOR)
    try:
        yield
    finally:
        lab.connect.put_config(CONNECTOR, config)
        lab.connect.wait_running(CONNECTOR)
