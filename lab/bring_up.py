"""The way from configuration files to a lab that mirrors, as much of it at once as two cores can do.

format → source broker → its ACLs, the warm-up's topic ─────────────────────┐
format → target broker → its ACLs → connect-1, connect-2 → connectors ──────┴→ tasks RUNNING → warm-up
Prometheus, node-exporter
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Protocol

from clients.connect import RUNNING, Connect, ConnectorStatus
from clients.kafka_admin import Admin
from lab import process, rendering, warmup
from lab.accounts import LOAD, grants
from lab.handles import Lab
from lab.layout import CLUSTERS, NODE_EXPORTER, PROMETHEUS, SOURCE, TARGET
from lab.process import Life
from lab.tools import Toolbox
from scenarios.errors import ConnectFailure, LabError

_FORMAT_TIMEOUT_S = 60.0
_TASKS_TIMEOUT_S = 60.0
_POLL_S = 0.1


class Announcer(Protocol):
    """Who tells the person at the keyboard. Called from several threads."""

    def ready(self, what: str, took_s: float, remark: str) -> None:
        """Something is ready after that long."""

    def note(self, text: str) -> None:
        """A remark."""

    def warming(self, elapsed_s: float, total_s: float) -> None:
        """The warm-up is that far."""


class _Cancelled(Exception):
    """Unwinds a lane: another one failed, or the user gave up."""


class _Lanes:
    """Threads that bring things up side by side; when one fails, or the user gives up, all end soon."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="lane")
        self._cancelled = threading.Event()

    def start(self, work: Callable[[], None]) -> Future[None]:
        """Run it in a lane."""
        return self._pool.submit(work)

    def check(self) -> None:
        """Called by lanes wherever they wait."""
        if self._cancelled.is_set():
            raise _Cancelled

    def join(self, lanes: Iterable[Future[None]]) -> None:
        """Wait for all; raises what the first that failed raised."""
        lanes = list(lanes)
        try:
            wait(lanes, return_when=FIRST_EXCEPTION)
        finally:
            self._cancelled.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
        failures = [lane.exception() for lane in lanes if not lane.cancelled()]
        first = next((failure for failure in failures if failure and not isinstance(failure, _Cancelled)), None)
        if first is not None:
            raise first


def bring_up(lab: Lab, toolbox: Toolbox, *, warm_s: float, announcer: Announcer) -> None:
    """Start everything, wait until MM2's tasks run, warm. Leaves what it started running when it fails."""
    lanes = _Lanes()

    def component(name: str) -> None:
        began = time.monotonic()
        part = lab.component(name)
        part.start(wait=False)
        part.wait_ready(interrupt=lanes.check)
        announcer.ready(
            name, time.monotonic() - began, f"pid {part.process.pid if part.process else '?'}, port {part.port}"
        )

    def cluster(name: str) -> None:
        _format(lab, toolbox, name, interrupt=lanes.check)
        component(name)
        lab.owner(name).allow(grants(name))
        if name == SOURCE:
            # As the user that runs use, so that its ACLs are proven before anybody counts on them.
            load = lab.seen_by(LOAD)
            Admin(load.environment.source, load).create_topics([(warmup.TOPIC, warmup.PARTITIONS)], config={})

    clusters = {name: lanes.start(lambda name=name: cluster(name)) for name in CLUSTERS}  # type: ignore[misc]

    def worker(name: str) -> None:
        while not clusters[TARGET].done():
            lanes.check()
            time.sleep(_POLL_S)
        if clusters[TARGET].exception() is None:
            component(name)

    others = [lanes.start(lambda name=name: component(name)) for name in (PROMETHEUS, NODE_EXPORTER)]  # type: ignore[misc]
    workers = [lanes.start(lambda name=name: worker(name)) for name in lab.workers]  # type: ignore[misc]
    lanes.join([*clusters.values(), *others, *workers])

    began = time.monotonic()
    ensure_connectors(lab)
    _wait_tasks(lab)
    announcer.ready("MirrorMaker 2", time.monotonic() - began, f"{len(rendering.CONNECTORS)} connectors, tasks RUNNING")
    if warm_s > 0:
        _warm(lab, warm_s, announcer)


def ensure_connectors(lab: Lab) -> None:
    """Create the connectors that do not exist; a configuration that somebody changed stays."""
    existing = lab.connect.connectors()
    for name, config in rendering.connectors(lab.state.ports, lab.layout).items():
        if name not in existing:
            lab.connect.put_config(name, config)


def _warm(lab: Lab, warm_s: float, announcer: Announcer) -> None:
    try:
        warmed = warmup.warm(
            lab.seen_by(LOAD),
            sent=lambda: lab.owner(SOURCE).record_count(warmup.TOPIC),
            arrived=lambda: lab.owner(TARGET).record_count(warmup.REMOTE_TOPIC),
            duration_s=warm_s,
            tick=lambda elapsed_s: announcer.warming(elapsed_s, warm_s),
        )
    except LabError as error:
        raise LabError(f"{error}; {_worker_words(lab)}") from None
    announcer.ready("warm-up", warmed.took_s, f"{warmed.records} records of {warmup.TOPIC} crossed")


def _format(lab: Lab, toolbox: Toolbox, name: str, *, interrupt: Callable[[], None]) -> None:
    """Prepare a cluster's empty log directory; KRaft will not start without."""
    part = lab.component(name)
    command = rendering.format_command(
        lab.layout.conf / f"{name}.properties", lab.state.cluster_ids[name], toolbox, lab.layout, name
    )
    formatting = part.launch(tuple(command))
    deadline = time.monotonic() + _FORMAT_TIMEOUT_S
    while process.life(formatting) is not Life.GONE:
        interrupt()
        if time.monotonic() > deadline:
            raise LabError(f"formatting {name} takes more than {_FORMAT_TIMEOUT_S:.0f} s; {part.last_words()}")
        time.sleep(_POLL_S)
    if code := process.exit_code(formatting):
        raise LabError(f"formatting {name} failed (exit code {code}); {part.last_words()}")


def is_whole(status: ConnectorStatus) -> bool:
    """A connector that does all it should: the one that mirrors has tasks, the others may have nothing to do."""
    wants_tasks = status.name == rendering.SOURCE_CONNECTOR
    at_work = all(task.state == RUNNING for task in status.tasks) and (bool(status.tasks) or not wants_tasks)
    return status.state == RUNNING and at_work


def _wait_tasks(lab: Lab) -> None:
    # Each request may wait out a rebalance of its own: keep that within what is waited here.
    connect = Connect(lab.connect_urls, rebalance_budget_s=_POLL_S)
    for name in rendering.CONNECTORS:
        try:
            connect.wait(name, is_whole, what="RUNNING with its tasks", timeout_s=_TASKS_TIMEOUT_S, pause_s=_POLL_S)
        except ConnectFailure as error:
            raise LabError(f"{error}; {_worker_words(lab)}") from None


def _worker_words(lab: Lab) -> str:
    first = lab.component(lab.workers[0])
    return f"{first.name}: {first.last_words()}"
