"""The four runs that tell the truth about the gate, played while other tests go on.

Two labs play side by side, since each run spends most of its time in silence. One is left in order; other tests have
it after the clean run. The other has MM2 paused, then a transform that drops the topic, then no Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lab.handles import Lab
from tests.lab.runs import Run

CONNECTOR = "mm2-source-connector"


class Truths:
    """The four runs, each a future; a test waits for the one it speaks of."""

    def __init__(self, good: Lab, bad: Lab, phase1: Path, runs: Path) -> None:
        self._pool = ThreadPoolExecutor(2)
        self.clean: Future[Run] = self._pool.submit(self._clean, good, runs / "clean")
        self.paused: Future[Run] = self._pool.submit(self._paused, bad, phase1, runs / "paused")
        self.filtered: Future[Run] = self._pool.submit(
            self._after, self.paused, self._filtered, bad, phase1, runs / "filtered"
        )
        self.blind: Future[Run] = self._pool.submit(self._after, self.filtered, self._blind, bad, runs / "blind")

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    @staticmethod
    def _after(first: Future[Run], play: Callable[..., Run], *arguments: object) -> Run:
        first.exception()  # waits for it, whatever came of it
        return play(*arguments)

    @staticmethod
    def _clean(lab: Lab, runs: Path) -> Run:
        run = Run.start("phase1_smoke", lab, runs)
        run.wait()
        return run

    @staticmethod
    def _blind(lab: Lab, runs: Path) -> Run:
        run = Run.start("phase1_smoke", lab, runs)
        try:
            run.until_phase("smoke")
            lab.component("prometheus").stop()
            run.wait()
        finally:
            lab.component("prometheus").start()
        return run

    @staticmethod
    def _paused(lab: Lab, phase1: Path, runs: Path) -> Run:
        lab.connect.pause(CONNECTOR)
        try:
            run = Run.start(str(phase1), lab, runs)
            run.wait()
        finally:
            lab.connect.resume(CONNECTOR)
            lab.connect.wait_running(CONNECTOR)
        return run

    @staticmethod
    def _filtered(lab: Lab, phase1: Path, runs: Path) -> Run:
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
            run = Run.start(str(phase1), lab, runs)
            run.wait()
        finally:
            lab.connect.put_config(CONNECTOR, config)
            lab.connect.wait_running(CONNECTOR)
        return run
