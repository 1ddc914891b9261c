"""The runs that tell the truth about the gate, played while other tests go on.

They spend most of their time in silence, so other tests play beside them, on a lab of their own. One thing after the
other is out of order: a target that is restarted, a second connector, MM2 paused in the middle of a load, a target that
holds MM2 back, MM2 paused, a transform that drops the topic, no Prometheus. In the end all is in order again, and the
run of phase 1 is clean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.handles import Lab
from lab.layout import TARGET
from tests.lab.runs import COUNTERS, MM2GATE, Run, faults, variant

CONNECTOR = "mm2-source-connector"
AGAIN = "mm2-source-connector-again"
TWICE_TOPIC = "test-prometheus.twice-1"
DRAIN = "  - {name: drain, profile: drain, patience: 20s, cap: 60s}\n"
REHEARSAL = ("--rehearsal", "1/40")
QUOTA_BYTES_PER_S = 60_000
"""A quarter of what the light phase 2 sends."""

Fault = Callable[[Lab], AbstractContextManager[None]]


class Truths:
    """The runs, each a future; a test waits for the one it speaks of."""

    def __init__(self, lab: Lab, phase1: Path, phase2: Path, directory: Path) -> None:
        self.pool = ThreadPoolExecutor(1)  # one after the other
        self.lab = lab
        self._runs = directory / "runs"
        written = directory / "scenarios"
        written.mkdir()
        light = str(phase2)
        self.restarted = self._play("restarted", faults("restart", written), during=("steady", 2.0, restarted))
        self.twice = self._play("twice", _twice(written), before=twice)
        self.stalled = self._play("stalled", light, *REHEARSAL, during=("nominal", 8.0, paused))
        self.throttled = self._play("throttled", light, *REHEARSAL, before=throttled)
        # MM2's gauges tell of a quota for a minute after it is gone: no one asks them before the clean run does.
        self.paused = self._play("paused", COUNTERS, before=paused)
        self.filtered = self._play("filtered", COUNTERS, before=filtered)
        self.blind = self._play("blind", COUNTERS, during=("smoke", 0.0, blind))
        self.clean = self._play("clean", str(phase1))

    def _play(
        self,
        name: str,
        scenario: str,
        *options: str,
        before: Fault | None = None,
        during: tuple[str, float, Fault] | None = None,
    ) -> Future[Run]:
        return self.pool.submit(play, scenario, self.lab, self._runs / name, *options, before=before, during=during)

    def close(self) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)


def _twice(directory: Path) -> str:
    """The short scenario on topics of its own, watched after its drain: copies may come later than what they copy."""
    return variant(
        directory / "twice.yaml",
        ("short-{n}", "twice-{n}"),
        (DRAIN, f"{DRAIN}  - {{name: watch, profile: watch, duration: 20s}}\n"),
    )


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
def restarted(lab: Lab) -> Iterator[None]:
    """The target's broker goes and comes back."""
    lab.component(TARGET).stop()
    lab.component(TARGET).start()
    yield


@contextmanager
def twice(lab: Lab) -> Iterator[None]:
    """A second connector copies one topic again."""
    config = lab.connect.config(CONNECTOR)
    lab.connect.put_config(AGAIN, {**config, "name": AGAIN, "topics": TWICE_TOPIC.replace(".", "[.]")})
    try:
        yield
    finally:
        lab.connect.delete(AGAIN)


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
