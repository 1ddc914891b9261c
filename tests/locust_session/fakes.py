"""A run without Kafka: nodes in greenlets that answer the conductor as real ones do, and misbehave when told to."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import numpy as np

from locust_session import conductor as conductor_module
from locust_session import drain as drain_module
from locust_session.asking import Asked, Moment
from locust_session.conductor import Conductor
from locust_session.crew import Crew
from locust_session.load import Second
from locust_session.moments import MasterClock
from locust_session.progress import Progress
from locust_session.run_manifest import RunFacts
from locust_session.wire import ToNodes, unpack
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import ClusterSeen
from run_record.store import RunRecord
from scenarios.plan import RunPlan
from tests.run_record.accounts import account
from tests.scenarios.examples import plan, with_phases

REPORT_EVERY_S = 0.02
CLUSTERS = (
    ClusterSeen(alias="source", cluster_id="AAAA", bootstrap_servers="127.0.0.1:1"),
    ClusterSeen(alias="target", cluster_id="BBBB", bootstrap_servers="127.0.0.1:2"),
)


def quick_plan(
    *,
    watch: bool = False,
    silence: bool = False,
    load_s: float = 0.1,
    patience: str = "300ms",
    cap: str = "1s",
    long: str = "",
) -> RunPlan:
    """Two load phases of a fraction of a second; patience and cap of the drain; canaries are awaited 0.3 s.

    `long` is the phase that would last a minute, were it not ended.
    """
    half = f"{load_s * 500:.0f}ms"
    lasts = dict.fromkeys(("one", "two"), half) | {"canary": "300ms", "silence": "200ms", "watch": "200ms"}
    lasts |= {long: "60s"}
    if long == "drain":
        patience = cap = "60s"
    text = with_phases(
        *(f"{{name: {name}, profile: nominal, rate: 200/s, duration: {lasts[name]}}}" for name in ("one", "two"))
    )
    text = text.replace("patience: 5s, cap: 20s", f"patience: {patience}, cap: {cap}")
    text = text.replace("patience: 5s}", f"patience: {lasts['canary']}}}")
    if watch:
        text = text.replace("criteria:", f"  - {{name: watch, profile: watch, duration: {lasts['watch']}}}\ncriteria:")
    if silence:
        fence = f"{{name: silence, profile: silence, duration: {lasts['silence']}}}"
        text = text.replace("  - {name: one", f"  - {fence}\n  - {{name: one")
    return plan(text)


def quicken(monkeypatch) -> None:
    """The conductor's own patience, in fractions of a second."""
    for name, value in {
        "LOOK_EVERY_S": 0.002,
        "READY_WITHIN_S": 0.3,
        "PREPARED_WITHIN_S": 0.3,
        "ACCOUNT_WITHIN_S": 0.3,
        "HURRIED_OFFSETS_S": 0.1,
        "START_AHEAD_NS": 20_000_000,
        "OVERTIME_S": 10.0,  # a machine that has other work may stand still for a while
    }.items():
        monkeypatch.setattr(conductor_module, name, value)
    for name, value in {"LOOK_EVERY_S": 0.002, "HURRIED_DRAIN_S": 0.5, "HURRIED_PATIENCE_S": 0.2}.items():
        monkeypatch.setattr(drain_module, name, value)


def nothing_asked(_: Mapping[str, str], moment: Moment, **__: Any) -> Asked:
    """In the place of the program that asks for names: none is wrong."""
    return Asked(moment=moment)


class NoJudge:
    """The process that would judge beside the run; it has ended."""

    def poll(self) -> int:
        return 0

    def wait(self) -> int:
        return 0


class FakeMaster:
    """`MasterLoad`, from memory."""

    def __init__(self, *, create: Exception | None = None, committed: Exception | None = None) -> None:
        self._create, self._committed = create, committed
        self.created = 0

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        return CLUSTERS

    def create(self) -> list[str]:
        if self._create is not None:
            raise self._create
        self.created += 1
        return ["mm2gate.a"]

    def committed(self) -> dict[str, int]:
        if self._committed is not None:
            raise self._committed
        return {"mm2gate.a:0": 7}

    def versions(self) -> dict[str, str]:
        return {"python": "3"}


@dataclass
class FakeNode:
    """`faults`: never_ready, no_identity, never_prepared, trouble_preparing, mute (no seconds), canary_lost, slow
    (sends half), loses (one never arrives), stuck (half never arrives), arriving_for_ever, no_account, broken_account,
    trouble_sending. `other`: what of its identity is not the master's, by the identity's own keys."""

    id: str
    conductor: Conductor
    faults: frozenset[str] = frozenset()
    share: int = 10
    other: dict[str, Any] = field(default_factory=dict)
    ahead_ns: int = 0
    cluster_trouble: str = ""
    mm2gate: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _start_ns: int = 0
    _last_sent_ns: int = 0
    _alive: bool = True
    waits: bool = False
    """Its last record has not arrived yet."""
    _sent: int = 0
    _arrived: int = 0
    _canaries: bool = False
    _sending: bool = False
    _greenlets: list[gevent.Greenlet] = field(default_factory=list)

    def start(self) -> None:
        if "never_ready" not in self.faults:
            self.conductor.node_ready(self.id, "host", 1, self.mm2gate)

    def kill(self) -> None:
        """SIGKILL: it says nothing more."""
        self._alive = False
        gevent.killall(self._greenlets)

    def hear(self, kind: ToNodes, data: dict[str, Any]) -> None:
        self.heard.append((str(kind), data))
        handler: Callable[[dict[str, Any]], None] = {
            ToNodes.IDENTIFY: self._identify,
            ToNodes.PREPARE: self._prepare,
            ToNodes.CANARIES: self._cross,
            ToNodes.START: self._start,
            ToNodes.PLAY: self._play,
            ToNodes.STOP_SENDING: self._stop,
            ToNodes.PULSE: lambda _: None,
            ToNodes.FINISH: self._finish,
        }[kind]
        if self._alive:
            self._greenlets.append(gevent.spawn(handler, data))

    def told(self, kind: ToNodes) -> list[dict[str, Any]]:
        return [data for name, data in self.heard if name == kind]

    def _identify(self, data: dict[str, Any]) -> None:
        if "no_identity" in self.faults:
            return
        identity = {**data["master"], **self.other}
        self.conductor.crew.identified(
            self.id, {"identity": identity, "ahead_ns": self.ahead_ns, "trouble": self.cluster_trouble}
        )

    def _prepare(self, _: dict[str, Any]) -> None:
        if "trouble_preparing" in self.faults:
            self.conductor.node_trouble(self.id, "the target refused our login", 40)
        elif "never_prepared" not in self.faults:
            self.conductor.crew.prepared(self.id, [f"mm2gate.a:{self.id}"])
            if "mute" not in self.faults:
                self._greenlets.append(gevent.spawn(self._report))

    def _cross(self, _: dict[str, Any]) -> None:
        self._canaries = "canary_lost" not in self.faults

    def _start(self, data: dict[str, Any]) -> None:
        self._start_ns = time.monotonic_ns() + data["start_unix_ns"] - time.time_ns()
        self._sending = True
        if "trouble_sending" in self.faults:
            self.conductor.node_trouble(self.id, "the load failed: boom", 70)
            return
        if self.conductor.plan.ladder:
            self.share = 0  # steps come one by one
            return
        began_ns, wanted = time.monotonic_ns(), self.share // (2 if "slow" in self.faults else 1)
        while self._sending and self._sent < wanted:
            gevent.sleep(0.004)
            due = (time.monotonic_ns() - began_ns) // 4_000_000  # a machine that stood still has them all at once
            self._sent = min(max(self._sent + 1, due), wanted)
            self._last_sent_ns = time.monotonic_ns() - self._start_ns

    def _play(self, data: dict[str, Any]) -> None:
        self.share += self.conductor.plan.loads[data["phase"]].profile.record_count
        due_ns = self._start_ns + round(data["start_s"] * 1e9)
        while time.monotonic_ns() < due_ns:
            gevent.sleep(0.002)
        while self._sending and self._sent < self.share - (1 if "slow" in self.faults else 0):
            gevent.sleep(0.002)
            self._sent += 1
            self._last_sent_ns = time.monotonic_ns() - self._start_ns

    def _stop(self, _: dict[str, Any]) -> None:
        self._sending = False

    def _report(self) -> None:
        while True:
            gevent.sleep(REPORT_EVERY_S)
            self.conductor.crew.second(self.id, self._second())

    @property
    def _missing(self) -> int:
        if "stuck" in self.faults:
            return self._sent // 2
        return min(self._sent, 1) if "loses" in self.faults or self.waits else 0

    def _second(self) -> Second:
        histogram = LatencyHistogram()
        histogram.record_ns(np.array([1_000_000], dtype=np.int64))
        self._arrived += 1
        forever = self._arrived if "arriving_for_ever" in self.faults else 0
        missing = self._missing + bool(forever)
        return Second(
            sent=self._sent,
            acked=self._sent,
            arrived=self._sent - missing,
            duplicated=forever,
            missing=missing,
            all_sent=self._sent == self.share,
            last_sent_ns=self._last_sent_ns,
            quiet=not self._sending or self._sent == self.share,
            canaries_sent=1,
            canaries_arrived=int(self._canaries),
            e2e=histogram.to_json(),
            send_delay=histogram.to_json(),
        )

    def _finish(self, _: dict[str, Any]) -> None:
        if "no_account" in self.faults:
            return
        counts = Counts(sent=self._sent, acked=self._sent, arrived=self._sent - self._missing, late=self._missing)
        self.conductor.crew.account(
            self.id,
            {} if "broken_account" in self.faults else account(phases={"one": counts.to_json()}),
        )


class Stage:
    """A conductor and its nodes. `play` returns the record."""

    def __init__(
        self,
        runs: Path,
        made: RunPlan,
        *faults: str,
        nodes: int = 1,
        master: FakeMaster | None = None,
        clock: MasterClock | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        """Faults are those of the last node; a comma joins several."""
        self.screen = io.StringIO()
        self.master = master or FakeMaster()
        self.conductor = Conductor(
            facts=RunFacts(plan=made, clusters=CLUSTERS, rehearsal="1", versions=versions or {}),
            load=self.master,
            crew=Crew(wanted=nodes, send=self._send),
            runs_directory=runs,
            run_id="run",
            progress=Progress(self.screen),
            clock=clock or MasterClock(),
        )
        share = made.record_count // nodes
        self.nodes = [FakeNode(str(number), self.conductor, share=share) for number in range(nodes)]
        self.nodes[-1].faults = frozenset(faults)
        self.troubles: list[BaseException] = []
        self.run_ids: set[str] = set()

    def play(self, *meanwhile: Callable[[], None]) -> RunRecord:
        for node in self.nodes:
            node.start()
        others = [gevent.spawn(one) for one in meanwhile]
        with gevent.Timeout(60):
            self.conductor.play()
        gevent.killall(others)
        for node in self.nodes:
            node.kill()
        assert self.conductor.over.is_set()
        return RunRecord.open(self.conductor.directory)

    def when(self, phase: str, do: Callable[[], None]) -> Callable[[], None]:
        """Does it as soon as the run is in that phase."""

        def wait() -> None:
            while phase not in [one.name for one in self.conductor._chronicle.phases]:
                gevent.sleep(0.002)
            gevent.sleep(0.02)
            do()

        return wait

    def events(self, record: RunRecord) -> Iterator[str]:
        return (event["event"] for event in record.events)

    def _send(self, kind: ToNodes, data: dict[str, Any], node_id: str | None) -> None:
        self.run_ids.add(unpack(data)[0])
        next(node for node in self.nodes if node.id == node_id).hear(kind, unpack(data)[1])
