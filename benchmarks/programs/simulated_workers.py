"""Many Locust workers in one process, with the real session and runner of each, and a load that only reports.

Their seconds are as large as those of real workers: histograms of thousands of latencies, new ones each second.
"""

from __future__ import annotations

from locust.env import Environment  # isort: skip - it patches the process, before anything else is imported

import argparse
import functools
import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
import numpy as np
from locust import User, argument_parser, task
from locust.runners import WorkerRunner

from locust_session import driver, node
from locust_session.load import Assignment, Second
from locust_session.node import NodeSession
from mm2_users.identity import versions
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import ClusterSeen
from scenarios.plan import RunPlan, load_plan

LATENCIES_PER_S = 5000
#: Different seconds that take turns, so that no two in a row are the same.
SECONDS = 5


def _seconds() -> list[Second]:
    rng = np.random.default_rng(1)
    made = []
    for _ in range(SECONDS):
        histograms = []
        for median_ms, spread in ((12.0, 0.7), (1.0, 0.5)):
            histogram = LatencyHistogram()
            histogram.record_ns((rng.lognormal(np.log(median_ms), spread, LATENCIES_PER_S) * 1e6).astype(np.int64))
            histograms.append(histogram.to_json())
        made.append(Second(e2e=histograms[0], send_delay=histograms[1]))
    return made


class ReportingLoad:
    """A node's load that sends nothing: it says each second that all is well."""

    step_every_s = 1.0

    def __init__(self, plan: RunPlan, seconds: list[Second]) -> None:
        self._plan = plan
        self._seconds = seconds
        self._number = 0
        self._stopped = False
        self._canaries = 0

    def versions(self) -> dict[str, str]:
        """Those of a real worker."""
        return versions()

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        """The clusters of the environment; nobody is asked."""
        source, target = (
            ClusterSeen(alias=one.alias, cluster_id=one.cluster_id, bootstrap_servers=one.bootstrap_servers)
            for one in (self._plan.environment.source, self._plan.environment.target)
        )
        return source, target

    def prepare(self, assignment: Assignment) -> list[str]:
        """Owns its share of the partitions."""
        self._assignment = assignment
        places = [f"{topic.source}:{number}" for topic in self._plan.topics for number in range(topic.partitions)]
        return places[assignment.index :: assignment.senders]

    def step(self) -> None:
        """Nothing is ever due."""

    def send_canaries(self) -> None:
        """They have arrived already."""
        self._canaries = 1

    def start(self, start_ns: int) -> None:
        """Counts up from here."""

    def play(self, phase: int, start_s: float) -> None:
        """No staircase is played here."""

    def hold_sending(self) -> None:
        """Nothing is sent anyway."""

    def resume_sending(self) -> None:
        """Nothing is sent anyway."""

    def stop_sending(self) -> None:
        self._stopped = True

    def second(self) -> Second:
        """The next of the prepared ones."""
        self._number += 1
        done = self._number * LATENCIES_PER_S
        return replace(
            self._seconds[self._number % SECONDS],
            sent=done,
            acked=done,
            arrived=done,
            all_sent=self._stopped or self._number > self._plan.load_duration_s,
            quiet=self._stopped,
            canaries_sent=1,
            canaries_arrived=self._canaries,
        )

    def look(self) -> None:
        """There is nothing to look at."""

    def finish(self, committed: dict[str, int], *, hurried: bool = False) -> dict[str, Any]:
        """An account of nothing."""
        del committed, hurried
        counts = Counts().to_json()
        return {
            "phases": {load.name: counts for load in self._plan.loads},
            "unattributed": counts,
            "streams": [],
            "canary": {"sent": 1, "acked": 1, "arrived": 1, "missing": []},
            "latency": {},
            "last_error": None,
            "read_refused": [],
            "lost_places": [],
        }


class Once:
    """In the place of `gc`, which looks through the whole process for each worker that begins: once is enough here."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()

    def unfreeze(self) -> None:
        """Not again."""

    def collect(self) -> None:
        """Not again."""

    def freeze(self) -> None:
        """Not again."""


class MirrorUser(User):
    """Has the name of the user that the master spawns."""

    @task
    def offer(self) -> None:
        """Takes part, and waits."""
        self.environment.mm2gate_node.host()
        gevent.sleep(3600)


def main() -> None:
    """Connects them all, and stays until the run is over; who started it ends it otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    chosen = parser.parse_args()
    vars(node)["load_plan"] = _shared(load_plan)
    vars(driver)["gc"] = Once()
    # Locust builds its whole parser anew for every option of the master's, 60 times as a worker begins: of no matter
    # in a process of its own, seconds in one that is a hundred workers.
    vars(argument_parser)["default_args_dict"] = functools.cache(argument_parser.default_args_dict)
    seconds = _seconds()
    runners = [_worker(chosen.port, seconds) for _ in range(chosen.workers)]
    while any(runner.state != "stopped" for runner in runners):
        gevent.sleep(1)


def _shared(load: Callable[..., RunPlan]) -> Callable[..., RunPlan]:
    """Each worker would read the same files; in one process, once is enough."""
    plans: dict[str, RunPlan] = {}

    def shared(*names: str, **more: Any) -> RunPlan:
        key = repr((names, more))
        if key not in plans:
            plans[key] = load(*names, **more)
        return plans[key]

    return shared


def _worker(port: int, seconds: list[Second]) -> WorkerRunner:
    environment: Any = Environment(user_classes=[MirrorUser])
    runner: WorkerRunner = environment.create_worker_runner("127.0.0.1", port)
    environment.mm2gate_node = NodeSession(environment, lambda plan, _: ReportingLoad(plan, seconds))
    return runner


if __name__ == "__main__":
    main()
