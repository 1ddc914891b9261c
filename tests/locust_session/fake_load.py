"""A locustfile whose load needs no Kafka: records that are due arrive at once. Played by test_processes.py."""

from __future__ import annotations

import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import argument_parser, events

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from locust_session import lost_workers, options, session
from locust_session.load import Assignment, Second
from mm2_users.pacing import Pacer
from mm2_users.replication_user import ReplicationUser
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import ClusterSeen
from scenarios.shape import PhaseShape  # noqa: F401 - Locust looks for it here
from tests.locust_session.fakes import CLUSTERS, FakeMaster, NoJudge, nothing_asked
from tests.run_record.accounts import account


def judge(directory: Path, *_: Any) -> tuple[int, str]:
    gevent.sleep(float(os.environ.get("JUDGES_FOR_S", "0")))
    return 20, f"judged {directory}\n"


# Locust builds its whole parser anew for every option of the master's: seconds, in many processes on a busy machine.
vars(argument_parser)["default_args_dict"] = functools.cache(argument_parser.default_args_dict)
lost_workers.PATIENCE_BEATS = int(os.environ.get("PATIENCE_BEATS", lost_workers.PATIENCE_BEATS))
session.judge = judge
session.follow = lambda *_: NoJudge()
if "ASKS_FOR_NAMES" not in os.environ:
    session.ask = nothing_asked


class Load:
    """`NodeLoad`: the records of its share, as they fall due, arrive the moment they are sent."""

    step_every_s = 0.002

    def __init__(self, plan: Any) -> None:
        self._plan = plan
        self._pacer: Pacer | None = None
        self._sending = self._canary = self._held = False
        self._start_ns = 0
        self._sent: dict[int, int] = {}

    def versions(self) -> dict[str, str]:
        return FakeMaster().versions()

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        return CLUSTERS

    def prepare(self, assignment: Assignment) -> list[str]:
        self._pacer = Pacer(self._plan, index=assignment.index, senders=assignment.senders)
        return [f"share {assignment.index}"]

    def send_canaries(self) -> None:
        self._canary = True

    def start(self, start_ns: int) -> None:
        self._start_ns, self._sending = start_ns, True

    def play(self, phase: int, start_s: float) -> None:
        assert self._pacer is not None
        self._pacer.play(phase, start_s)

    def hold_sending(self) -> None:
        self._held = True

    def resume_sending(self) -> None:
        self._held = False

    def stop_sending(self) -> None:
        self._sending = False

    def step(self) -> None:
        while self._sending and self._pacer and not self._held:
            due = self._pacer.due(time.monotonic_ns() - self._start_ns, 100)
            if due is None:
                return
            self._sent[due.phase] = self._sent.get(due.phase, 0) + len(due.due_ns)

    def second(self) -> Second:
        sent = sum(self._sent.values())
        done = self._pacer is not None and self._pacer.done
        empty = LatencyHistogram().to_json()
        return Second(
            sent=sent,
            acked=sent,
            arrived=sent,
            all_sent=done,
            quiet=done or not self._sending,
            canaries_sent=1,
            canaries_arrived=int(self._canary),
            e2e=empty,
            send_delay=empty,
        )

    def look(self) -> None:
        pass

    def finish(self, committed: dict[str, int], *, hurried: bool = False) -> dict[str, Any]:
        self._sending = False
        names = [load.name for load in self._plan.loads]
        counts = {names[phase]: Counts(sent=n, acked=n, arrived=n).to_json() for phase, n in self._sent.items()}
        return account(phases=counts)


class MirrorUser(ReplicationUser):
    """The user of every node."""


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    options.add(parser)


@events.init.add_listener
def install(environment: Any, **_: Any) -> None:
    session.install(environment, make_master=lambda plan: FakeMaster(), make_load=lambda plan, environment: Load(plan))
