"""A load that is not ours: Kafka's own tool, or whoever sends anyway. Counted by the offsets of both clusters.

Such records carry no envelope, so nothing is known of any one of them: how many were appended at the source, and how
many at the mirrors, is all there is to count. Partition by partition, since MM2 keeps partitions; mirrors are read
before the source, so that what moves in between makes the lag look larger, never smaller.

    perf-test  one process of the tool per topic, from second 0 on; ended by its process id when the run ends
    none       nothing is sent; what others append between second 0 and the load's end is followed
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import gevent
from confluent_kafka import KafkaError, Message
from gevent import subprocess

from clients.kafka import RecordProducer, off_hub
from clients.kafka_offsets import Ends, Place
from clients.kafka_topics import TopicLooks
from locust_session.load import Assignment, Second
from mm2_users.identity import clusters_seen, versions
from mm2_users.perf_test import arguments_of, config_option, properties_of, shares_of, write_properties
from mm2_users.reckoning import HURRIED_LOOK_WITHIN_S
from mm2_users.watch import LOOK_WITHIN_S, Looks, Watch
from run_record.closing import Closing
from run_record.counts import Counts, total
from run_record.manifest import ClusterSeen
from scenarios.environment import Cluster
from scenarios.errors import Mm2gateError, Refused, Unreachable
from scenarios.plan import NS_PER_S, RunPlan
from scenarios.secrets import hidden_of_others

LOG = logging.getLogger("mm2gate.foreign")
Kind = Literal["perf-test", "none"]
#: Offsets are asked for so often; a second must not go by without.
READ_EVERY_NS = 400_000_000
#: How long offsets that must be known are asked for again.
TOLD_WITHIN_S = 10.0
#: What the tool may take to end after SIGTERM: it closes its producer first.
ENDS_WITHIN_S = 5.0
CANARY = b'{"mm2gate": "canary"}'


class EndsOf(Protocol):
    """Where partitions end: `clients.kafka_offsets.Ends`, or a test's."""

    def read(self, places: Iterable[Place]) -> dict[Place, int]:
        """The next offset of each."""

    def require_visible(self, topics: Iterable[str]) -> None:
        """Raises Refused when one may not be described. Blocks."""


class Canaries(Protocol):
    """Sends one record to a partition."""

    def __call__(self, places: Sequence[Place]) -> int:
        """How many were acknowledged. Blocks."""


@dataclass(slots=True)
class _Tally:
    """One side's offsets: where they stood at second 0, now, and when the load was over."""

    start: dict[Place, int] = field(default_factory=dict)
    now: dict[Place, int] = field(default_factory=dict)
    stopped: dict[Place, int] | None = None

    def see(self, ends: Mapping[Place, int]) -> None:
        """Takes up an answer; one that was overtaken by another changes nothing."""
        self.now = {place: max(end, self.now.get(place, 0)) for place, end in ends.items()}

    def grown(self, place: Place) -> int:
        """Records appended since second 0, and before the load was over."""
        end = (self.stopped or self.now).get(place, 0)
        return max(end - self.start.get(place, 0), 0) if self.start else 0


class ForeignLoad:
    """`locust_session.load.NodeLoad` of a load that others make. One node only: offsets belong to no sender."""

    step_every_s = 0.05

    def __init__(
        self,
        plan: RunPlan,
        kind: Kind,
        *,
        source: EndsOf | None = None,
        target: EndsOf | None = None,
        canaries: Canaries | None = None,
        looks: Callable[[Cluster], Looks] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        environment = plan.loaded_environment
        self._make_looks = looks or (lambda cluster: TopicLooks(cluster, environment))
        self._plan, self._kind, self._now_ns = plan, kind, clock_ns
        self._source = source or Ends(plan.environment.source, environment)
        self._target = target or Ends(plan.environment.target, environment)
        self._send_canaries_to = canaries or _Producer(plan)
        self._remote = {topic.source: topic.remote for topic in plan.topics}
        self._places = [(t.source, partition) for t in plan.topics for partition in range(t.partitions)]
        self._written, self._mirrored = _Tally(), _Tally()
        self._canaries_from: dict[Place, int] = {}
        self._canaries_sent = 0
        self._index = 0
        self._start_ns: int | None = None
        self._last_grown_ns = 0
        self._read_at_ns = 0
        self._stopped = False
        self._over = False
        self._done = False
        self._ended_alone = False
        self._option = ""
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._tools: list[subprocess.Popen[bytes]] = []
        self._notes: list[dict[str, Any]] = []

    # --- what the session asks ---------------------------------------------------------------------------------------

    def versions(self) -> dict[str, str]:
        return versions()

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        return clusters_seen(self._plan)

    def prepare(self, assignment: Assignment) -> list[str]:
        """Looks whether the tool can be started, and where the partitions end. Raises Refused and Unreachable."""
        if assignment.senders > 1:
            raise Refused(f"--load {self._kind} counts offsets, which needs one process; start it without workers")
        self._index = assignment.index
        if self._kind == "perf-test":
            self._option = config_option(self._command)
        off_hub(self._source.require_visible, list(self._remote))
        off_hub(self._target.require_visible, list(self._remote.values()))
        self._watches = self._new_watches()
        for watch in self._watches:
            watch.begin(self._now_ns())
        self._read()
        return [f"{topic}:{partition}" for topic, partition in self._places]

    def send_canaries(self) -> None:
        """One record to every partition, with a producer of ours: the tool cannot aim. `none` sends nothing at all."""
        if self._kind == "none":
            return
        self._canaries_from = dict(self._mirrored.now)
        self._canaries_sent = off_hub(self._send_canaries_to, self._places)

    def start(self, start_ns: int) -> None:
        """Counts from here on, and starts the tool at second 0. Raises Unreachable when the offsets are not told."""
        self._read_patiently()
        self._start_ns = start_ns
        self._written.start, self._mirrored.start = dict(self._written.now), dict(self._mirrored.now)
        gevent.sleep(max((start_ns - self._now_ns()) / NS_PER_S, 0.0))
        if self._kind == "perf-test" and not self._stopped:
            self._start_tools()

    def step(self) -> None:
        """Reads the offsets when it is time; Mm2gateError when the tool failed."""
        if self._now_ns() - self._read_at_ns >= READ_EVERY_NS:
            self._look()
        for tool in self._tools:
            if tool.poll() not in (None, 0) and not self._stopped:
                raise Mm2gateError(f"Kafka's producer tool ended with code {tool.poll()}: {self._last_words()}")
        if self._tools and not self._done and all(tool.poll() == 0 for tool in self._tools):
            # All that it sent is counted before it is said to be all.
            self._done = self._look()

    def play(self, phase: int, start_s: float) -> None:
        """Never asked: a plan with more than one load is refused."""
        raise Mm2gateError(f"load {phase} at {start_s:g} s: a staircase's steps are played by our own load only")

    def hold_sending(self) -> None:
        """Ends a tool that is at it, for good: it cannot be told to wait. `none` has nothing to hold."""
        if self._tools and not (self._stopped or self._done):
            self._ended_alone = True
            self.stop_sending()

    def resume_sending(self) -> None:
        """Raises Mm2gateError where the tool was ended."""
        if self._ended_alone:
            raise Mm2gateError(
                "Kafka's producer tool was ended while the master was not heard, and cannot go on; start the run again"
            )

    def stop_sending(self) -> None:
        """Ends the tool; what others append from now on is not counted."""
        if self._stopped:
            return
        self._stopped = True
        self._end_tools()
        self._over = True
        self._look()

    def second(self) -> Second:
        """Appended at the source is acknowledged; at the mirrors, arrived."""
        counts = total(self._counts(place) for place in self._places)
        done = self._kind == "none" or self._done
        since_start_ns = 0 if self._start_ns is None else self._now_ns() - self._start_ns
        return Second(
            sent=counts.sent,
            acked=counts.acked,
            arrived=counts.arrived,
            due=min(round(self._plan.records_by(since_start_ns / NS_PER_S)), self._plan.record_count),
            missing=counts.backlog,
            all_sent=self._start_ns is not None and done,
            last_sent_ns=self._last_grown_ns if self._kind == "perf-test" else 0,
            quiet=self._stopped or self._kind == "none" or done,
            sends_canaries=self._kind != "none",
            canaries_sent=self._canaries_sent,
            canaries_arrived=self._canaries_arrived(),
            notes=tuple(self._take_notes()),
        )

    def look(self) -> None:
        """Looks whether the topics are still those that are counted."""
        self._look_at_topics(LOOK_WITHIN_S)

    def finish(self, committed: Mapping[str, int], *, hurried: bool = False) -> dict[str, Any]:
        """Counts alone: lost, duplicated, reordered and damaged records cannot be told from offsets, which `committed`
        does not change."""
        del committed
        self.stop_sending()
        last_error = None
        try:
            self._read_patiently()
        except Unreachable as error:
            last_error = str(error)  # what was read last stands
        self._look_at_topics(HURRIED_LOOK_WITHIN_S if hurried else LOOK_WITHIN_S)
        zero_ns = self._start_ns or 0
        source, target = self._watches
        closing = Closing(
            source=source.facts(zero_ns),
            target=target.facts(zero_ns),
            changes=(*source.changes(zero_ns), *target.changes(zero_ns)),
            restarts=(),
        )
        for watch in self._watches:
            off_hub(watch.close)
        streams = [(place, self._counts(place)) for place in self._places]
        (load,) = self._plan.loads
        return {
            "phases": {load.name: total(counts for _, counts in streams).to_json()},
            "unattributed": Counts().to_json(),
            "streams": [
                {
                    "topic": topic,
                    "partition": partition,
                    "sender": self._index,
                    "counts": counts.to_json(),
                    "examples": {},
                }
                for (topic, partition), counts in streams
            ],
            "canary": {
                "sent": self._canaries_sent,
                "acked": self._canaries_sent,
                "arrived": self._canaries_arrived(),
                "missing": [
                    {"topic": topic, "partition": partition}
                    for topic, partition in self._places
                    if self._canaries_sent and not self._canary_arrived((topic, partition))
                ],
            },
            "latency": {},
            "last_error": last_error,
            "read_refused": [],
            "lost_places": [],
            "garbage": [],
            "closing": closing.to_json(),
            "notes": self._take_notes(),
        }

    @property
    def _command(self) -> list[str]:
        """The tool's command; a path in it starts at the environment file's directory."""
        program, *words = self._plan.environment.perf_test
        return [str(self._plan.loaded_environment.path(program)) if "/" in program else program, *words]

    # --- topics ------------------------------------------------------------------------------------------------------

    def _new_watches(self) -> tuple[Watch, Watch]:
        """Over the source's topics and their mirrors."""
        environment, topics = self._plan.environment, self._plan.topics
        source, target = self._make_looks(environment.source), self._make_looks(environment.target)
        remotes = [(self._remote[topic], partition) for topic, partition in self._places]
        return (
            Watch("source", source, {topic.source: topic.partitions for topic in topics}, self._places),
            Watch("target", target, {topic.remote: topic.partitions for topic in topics}, remotes),
        )

    def _look_at_topics(self, within_s: float) -> None:
        for watch in self._watches:
            for one in watch.look(self._now_ns(), read={}, longest_e2e_ns=0, within_s=within_s):
                self._notes.append(watch.note(one))

    def _take_notes(self) -> list[dict[str, Any]]:
        notes, self._notes = self._notes, []
        return notes

    # --- offsets -----------------------------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Reads the offsets if they are told just now. A cluster in trouble is what the run is there to see: not its
        end."""
        try:
            self._read()
        except Unreachable as error:
            self._read_at_ns = self._now_ns()
            LOG.info("%s", error)
            return False
        return True

    def _read_patiently(self) -> None:
        """Reads the offsets, again and again for a while. Raises Unreachable."""
        deadline_ns = self._now_ns() + round(TOLD_WITHIN_S * NS_PER_S)
        while not self._look():
            if self._now_ns() > deadline_ns:
                self._read()
                return
            gevent.sleep(0.5)

    def _read(self) -> None:
        """Mirrors first: see above. Raises Unreachable."""
        remotes = [(self._remote[topic], partition) for topic, partition in self._places]
        mirrored, written = self._target.read(remotes), self._source.read(self._places)
        self._read_at_ns = self._now_ns()
        if self._start_ns is not None and sum(written.values()) > sum(self._written.now.values()):
            self._last_grown_ns = self._read_at_ns - self._start_ns
        self._written.see(written)
        if self._over and self._written.stopped is None:
            self._written.stopped = dict(self._written.now)
        self._mirrored.see({(topic, n): mirrored[self._remote[topic], n] for topic, n in self._places})

    def _counts(self, place: Place) -> Counts:
        acked = self._written.grown(place)
        arrived = min(self._mirrored.grown(place), acked)
        return Counts(sent=acked, acked=acked, arrived=arrived, late=acked - arrived)

    def _canary_arrived(self, place: Place) -> bool:
        reached = self._mirrored.start or self._mirrored.now
        return bool(self._canaries_sent) and reached.get(place, 0) > self._canaries_from.get(place, 0)

    def _canaries_arrived(self) -> int:
        return sum(self._canary_arrived(place) for place in self._places)

    # --- the tool ----------------------------------------------------------------------------------------------------

    def _start_tools(self) -> None:
        plan, environment = self._plan, self._plan.environment
        self._directory = tempfile.TemporaryDirectory(prefix="mm2gate-perf-test-")
        directory = Path(self._directory.name)
        file = directory / "producer.properties"
        write_properties(file, properties_of(environment.source, plan.loaded_environment, plan.scenario.producer))
        for number, share in enumerate(shares_of(plan)):
            arguments = arguments_of(
                share, record_bytes=plan.scenario.payload.bytes, option=self._option, properties=file
            )
            with (directory / f"{number:03d}.log").open("wb") as log:
                # In a session of its own: a Ctrl-C is for the run, which ends the tool when it has counted.
                self._tools.append(
                    subprocess.Popen(
                        [*self._command, *arguments],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def _end_tools(self) -> None:
        for tool in self._tools:
            _signal(tool, signal.SIGTERM)
        deadline_ns = time.monotonic_ns() + round(ENDS_WITHIN_S * NS_PER_S)
        while any(tool.poll() is None for tool in self._tools) and time.monotonic_ns() < deadline_ns:
            gevent.sleep(0.05)
        for tool in self._tools:
            _signal(tool, signal.SIGKILL)
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _last_words(self) -> str:
        """The last line that a tool which failed wrote, an exception's sentence if there is one."""
        if self._directory is None:
            return "no output"
        logs = sorted(Path(self._directory.name).glob("*.log"))
        failed = [log for log, tool in zip(logs, self._tools, strict=False) if tool.poll() not in (None, 0)]
        lines = failed[0].read_text(encoding="utf-8", errors="replace").splitlines() if failed else []
        told = [line.strip() for line in lines if "Exception" in line or "rror" in line] or [*map(str.strip, lines)]
        return hidden_of_others(next((line for line in reversed(told) if line), "no output"))


def _signal(tool: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the tool and what it started: its script starts a Java that is its own child. By process id, and only while
    it lives."""
    if tool.poll() is None:
        try:
            os.killpg(tool.pid, number)
        except ProcessLookupError:
            return


class _Producer:
    """Sends canaries with the load's own producer."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan

    def __call__(self, places: Sequence[Place]) -> int:
        plan, acked = self._plan, 0

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            nonlocal acked
            acked += error is None

        producer = RecordProducer(plan.environment.source, plan.loaded_environment, plan.scenario.producer)
        producer.know([topic.source for topic in plan.topics])
        for topic, partition in places:
            producer.send(topic, partition, [{"value": CANARY}], on_delivery)
        producer.close(30.0)
        return acked
