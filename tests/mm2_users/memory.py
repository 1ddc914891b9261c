"""A source, a path and a target in memory, on a clock that the test turns: every instant is exact, and nothing waits.

The engine is the real one; its producer and its consumer are these.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Message

from clients.kafka_reread import Reread
from clients.kafka_topics import Ends, Retention, TopicSeen
from locust_session.load import Assignment
from mm2_users.engine import Engine
from run_record.histogram import LatencyHistogram
from scenarios.environment import Cluster
from scenarios.plan import RunPlan
from tests.mm2_users.saboteur import NEVER_THERE, UNANSWERED, Place, Saboteur, seq_of

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: Where a test lets the load begin, if it wants to know.
SECOND_0_NS = 10**12
Frozen = Callable[[int], int]
"""An instant at which something would happen → the instant at which it does."""


def frozen_between(start_ns: int, end_ns: int) -> Frozen:
    """Nothing happens in between; what would have, happens at the end."""
    return lambda at_ns: end_ns if start_ns <= at_ns < end_ns else at_ns


def _never(at_ns: int) -> int:
    return at_ns


@dataclass(kw_only=True)
class Path:
    """Source acknowledgements after `ack_ns`, arrivals after `latency_ns`; `acks` and `arrivals` may freeze."""

    made: RunPlan
    now_ns: int = SECOND_0_NS - NS_PER_S
    ack_ns: int = 2 * NS_PER_MS
    latency_ns: int = 5 * NS_PER_MS
    acks: Frozen = _never
    arrivals: Frozen = _never
    plant: Mapping[Place, str] = field(default_factory=dict)
    trouble: Mapping[Place, str] = field(default_factory=dict)
    offsets: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """Source partition → its end."""
    seq_offsets: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """Where the records of the load (of a single sender) stand in the source."""
    doubled: frozenset[Place] = frozenset()
    """Records that the producer writes to the source twice, and is answered once."""
    retention: Retention | str = field(
        default_factory=lambda: Retention(ms=7 * 24 * 3_600_000, bytes=-1, policy="delete")
    )
    """Of every topic."""
    silent: set[str] = field(default_factory=set)
    """Sides that do not answer when they are looked at."""
    unreadable_source: str = ""
    """Why the source may not be read."""
    lows: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """Where a partition of either side begins."""
    ids: dict[str, str | None] = field(default_factory=dict)
    """Topic → its id; None when it does not exist."""
    partition_counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.saboteur = Saboteur(self.plant)
        self.mirrors = {topic.source: topic.remote for topic in self.made.topics}
        self._order = count()
        self._coming: list[tuple[int, int, str, int, bytes | None, bytes | None]] = []
        self.logs: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        """Of both sides."""
        for topic in self.made.topics:
            self.ids |= {topic.source: "s1", topic.remote: "t1"}
        self.stopped = False
        self.doubled_done = 0
        self.waiting: list[tuple[str, int, bytes | None, bytes | None]] = []
        """What came while its mirror was not there; `make_again` writes it, as MM2's producer does."""
        self._held_up: list[tuple[str, int, bytes, bytes]] = []

    def delete(self, topic: str) -> None:
        """A topic is gone, with all that it held."""
        self.ids[topic] = None
        for place in [place for place in self.logs if place[0] == topic]:
            del self.logs[place]
            self.lows.pop(place, None)

    def make_again(self, topic: str, number: str = "again") -> None:
        """It is there again, empty, as another one."""
        self.delete(topic)
        self.ids[topic] = number
        for at, partition, key, value in [one for one in self.waiting if one[0] == topic]:
            self.logs[at, partition].append((key, value))
        self.waiting = [one for one in self.waiting if one[0] != topic]

    def truncate(self, place: tuple[str, int], low: int) -> None:
        """What lies before an offset is deleted."""
        self.lows[place] = low

    def stop(self) -> None:
        """The path carries nothing until `go_on`."""
        self.stopped = True

    def go_on(self) -> None:
        """What the source still holds of what was held up is carried."""
        self.stopped = False
        held_up, self._held_up = self._held_up, []
        seen: Counter[tuple[str, int]] = Counter()
        for topic, partition, key, value in held_up:
            place = topic, partition
            first = len(self.logs[place]) - sum(one[:2] == place for one in held_up)
            seen[place] += 1
            if first + seen[place] - 1 >= self.lows[place]:
                self._carry(topic, partition, key, value)

    def take(self, topic: str, partition: int, key: bytes, value: bytes) -> int:
        """The source has a record; its offset."""
        offset = self.offsets[topic, partition]
        self.offsets[topic, partition] = offset + 1
        self.logs[topic, partition].append((key, value))
        seq = seq_of(value)
        if seq is not None:
            self.seq_offsets[topic, partition, seq] = offset
        if self.stopped:
            self._held_up.append((topic, partition, key, value))
        else:
            self._carry(topic, partition, key, value)
        return offset

    def write(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """A stranger writes to the source, and it is carried as it is."""
        self.offsets[topic, partition] += 1
        self.logs[topic, partition].append((key, value))
        self._send_on(topic, partition, key, value)

    def _carry(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        for copy in self.saboteur.copies(topic, partition, key, value):
            self._send_on(topic, copy.partition, copy.key, copy.value)

    def leftovers(self) -> None:
        """What the saboteur held back goes on its way."""
        for topic in self.mirrors:
            for copy in self.saboteur.leftovers(topic):
                self._send_on(topic, copy.partition, copy.key, copy.value)

    def _send_on(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        at_ns = self.arrivals(self.now_ns + self.latency_ns)
        heapq.heappush(self._coming, (at_ns, next(self._order), self.mirrors[topic], partition, key, value))

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return bool(self._coming)

    def arrive(self) -> None:
        """What is there by now is on the target's logs."""
        while self._coming and self._coming[0][0] <= self.now_ns:
            _, _, topic, partition, key, value = heapq.heappop(self._coming)
            if self.ids[topic] is not None:
                self.logs[topic, partition].append((key, value))
            else:
                self.waiting.append((topic, partition, key, value))


class MemoryProducer:
    """clients.kafka.RecordProducer, as far as the engine knows it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._order = count()
        self._answers: list[tuple[int, int, Callable[..., None], KafkaError | None, Message]] = []
        self.most_waiting = 0

    def know(self, topics: Sequence[str]) -> None:
        pass

    def send(
        self, topic: str, partition: int, messages: list[dict[str, Any]], on_delivery: Callable[..., None]
    ) -> list[int]:
        path, refused = self._path, []
        for position, message in enumerate(messages):
            key, value = message["key"], message["value"]
            seq = seq_of(value)
            trouble = "" if seq is None else path.trouble.get((partition, seq), "")
            if trouble == "refuse":
                refused.append(position)
                continue
            offset = -1 if trouble in NEVER_THERE else path.take(topic, partition, key, value)
            if (partition, seq) in path.doubled:
                path.take(topic, partition, key, value)
                path.doubled_done += 1
            error = None
            if trouble:
                unanswered = trouble in UNANSWERED
                error = KafkaError(KafkaError._MSG_TIMED_OUT if unanswered else KafkaError.TOPIC_AUTHORIZATION_FAILED)
            answer = Message(topic=topic, partition=partition, offset=offset, key=key, value=value)
            at_ns = path.acks(path.now_ns + path.ack_ns)
            heapq.heappush(self._answers, (at_ns, next(self._order), on_delivery, error, answer))
        self.most_waiting = max(self.most_waiting, len(self._answers))
        return refused

    def serve(self) -> None:
        while self._answers and self._answers[0][0] <= self._path.now_ns:
            _, _, on_delivery, error, message = heapq.heappop(self._answers)
            on_delivery(error, message)

    def close(self, _: float) -> int:
        left = len(self._answers)
        for *_, on_delivery, error, message in sorted(self._answers, key=lambda answer: answer[:2]):
            on_delivery(error or KafkaError(KafkaError._PURGE_INFLIGHT), message)
        self._answers.clear()
        return left


class MemoryConsumer:
    """clients.kafka.RecordConsumer, as far as the engine knows it. `most_per_read` makes a slow one."""

    def __init__(self, path: Path, most_per_read: int = 10**9) -> None:
        self.path = path
        self.most_per_read = most_per_read
        self.stuck: set[tuple[str, int]] = set()
        """Partitions of which nothing is handed over, though there is something."""
        self.renewed = 0
        self._positions: dict[tuple[str, int], int] = {}
        self._astray: set[tuple[str, int]] = set()
        self._errors: list[Message] = []

    def start_at_end(self, partitions: Sequence[tuple[str, int]]) -> dict[str, int]:
        self._positions = {place: len(self.path.logs[place]) for place in partitions}
        return {}

    def read(self, most: int) -> list[Message]:
        self.path.arrive()
        out, self._errors, left = self._errors, [], min(most, self.most_per_read)
        for place, position in self._positions.items():
            log = self.path.logs[place]
            if place in self.stuck or place in self._astray or self.path.ids[place[0]] is None:
                continue
            if not self.path.lows[place] <= position <= len(log):
                self._astray.add(place)
                out.append(Message(topic=place[0], partition=place[1], error=KafkaError(KafkaError._AUTO_OFFSET_RESET)))
                continue
            some = log[position : position + left]
            self._positions[place] = position + len(some)
            left -= len(some)
            out += [
                Message(topic=place[0], partition=place[1], offset=position + k, key=key, value=value)
                for k, (key, value) in enumerate(some)
            ]
        return out

    def jump(self, place: tuple[str, int], to: int) -> None:
        """The log's beginning has moved to `to`, past the reader: it is told so, and reads on from there."""
        self._positions[place] = max(to, self._positions[place])
        error = KafkaError(KafkaError._AUTO_OFFSET_RESET)
        self._errors.append(Message(topic=place[0], partition=place[1], error=error))

    def start_again(self, topic: str, partition: int) -> None:
        if (topic, partition) in self._astray:
            self._astray.discard((topic, partition))
            self._positions[topic, partition] = self.path.lows[topic, partition]

    def positions(self) -> dict[tuple[str, int], int]:
        return dict(self._positions)

    def renew(self) -> Callable[[], None]:
        self.stuck.clear()
        self.renewed += 1
        return lambda: None

    def read_to_end(self, *, timeout_s: float = 5.0) -> frozenset[tuple[str, int]]:
        self.path.arrive()
        return frozenset(place for place, at in self._positions.items() if at == len(self.path.logs[place]))

    def close(self) -> None:
        pass


class MemoryLooks:
    """clients.kafka_topics.TopicLooks, as far as it is needed."""

    def __init__(self, path: Path, side: str) -> None:
        self._path, self._side = path, side

    def topics(self, names: Sequence[str], *, timeout_s: float) -> dict[str, TopicSeen | str]:
        if self._side in self._path.silent:
            return dict.fromkeys(names, "no answer")
        planned = {name: topic.partitions for topic in self._path.made.topics for name in (topic.source, topic.remote)}
        counts = planned | self._path.partition_counts
        there = {name: self._path.ids[name] for name in names}
        return {
            name: TopicSeen(partitions=counts[name] if number is not None else 0, id=number or None)
            for name, number in there.items()
        }

    def ends(self, places: Sequence[tuple[str, int]], *, timeout_s: float) -> dict[tuple[str, int], Ends | str]:
        if self._side == "target":
            self._path.arrive()
        return {place: Ends(low=self._path.lows[place], high=len(self._path.logs[place])) for place in places}

    def retention(self, names: Sequence[str], *, timeout_s: float) -> dict[str, Retention | str]:
        return dict.fromkeys(names, self._path.retention)

    def close(self) -> None:
        pass


class MemoryReread:
    """clients.kafka_reread.Rereader."""

    def __init__(self, path: Path, side: str) -> None:
        self._path, self._side = path, side
        self.read = 0
        self.out_of_time: set[tuple[str, int]] = set()
        """Partitions that are not read whole in the time there is."""

    def __call__(self, stretches, take, *, timeout_s: float, first_only: bool = False) -> Reread:
        if self._side == "source" and self._path.unreadable_source:
            return Reread(whole=frozenset(), refused=self._path.unreadable_source)
        whole = set()
        for place, (start, end) in stretches.items():
            if start < self._path.lows[place] or place in self.out_of_time:
                continue
            log = self._path.logs[place][start : start + 1 if first_only else end]
            records = [
                Message(topic=place[0], partition=place[1], offset=start + k, key=key, value=value)
                for k, (key, value) in enumerate(log)
            ]
            self.read += len(records)
            if records:
                take(records)
            whole.add(place)
        return Reread(whole=frozenset(whole))


class Stage:
    """Engines of one run on one path. `step` turns the clock and steps them all."""

    def __init__(self, path: Path, *, senders: int = 1, run_id: str = "run", most_per_read: int = 10**9) -> None:
        self.path = path
        self.raw: dict[str, list[np.ndarray]] = defaultdict(list)
        """Every latency that went to the screen, by kind."""
        self.rereads = {side: MemoryReread(path, side) for side in ("source", "target")}
        self.producers = [MemoryProducer(path) for _ in range(senders)]
        self.consumers = [MemoryConsumer(path, most_per_read) for _ in range(senders)]
        self.engines = [
            Engine(
                path.made,
                screen=lambda kind, durations_ns, _: self.raw[kind].append(durations_ns),
                clock_ns=lambda: path.now_ns,
                producer=lambda producer=producer: producer,
                consumer=lambda _, consumer=consumer: consumer,
                looks=lambda cluster: MemoryLooks(path, self._side(cluster)),
                reread=lambda cluster: self.rereads[self._side(cluster)],
            )
            for producer, consumer in zip(self.producers, self.consumers, strict=True)
        ]
        for index, engine in enumerate(self.engines):
            engine.prepare(Assignment(run_id=run_id, index=index, senders=senders))

    def _side(self, cluster: Cluster) -> str:
        return "source" if cluster == self.path.made.environment.source else "target"

    def look(self) -> None:
        """As a node does every few seconds."""
        for engine in self.engines:
            engine.look()

    def canaries(self) -> None:
        for engine in self.engines:
            engine.send_canaries()
        self.steps(10, NS_PER_MS)  # until they are acknowledged
        self._quiet()
        assert all(stream.canary_arrived and stream.canary_acked for e in self.engines for stream in e._streams)

    def start(self) -> None:
        self.path.now_ns = SECOND_0_NS - NS_PER_MS
        for engine in self.engines:
            engine.start(SECOND_0_NS)

    def step(self, by_ns: int) -> None:
        self.path.now_ns += by_ns
        for engine in self.engines:
            engine.step()

    def steps(self, number: int, by_ns: int) -> None:
        for _ in range(number):
            self.step(by_ns)

    def play(self, tick_ns: int = NS_PER_MS) -> None:
        """The whole load and its drain."""
        self.canaries()
        self.start()
        self.play_on(tick_ns)

    def play_on(self, tick_ns: int = NS_PER_MS) -> None:
        """The rest of the load, and its drain."""
        while not all(engine._pacer.done for engine in self.engines):
            self.step(tick_ns)
        self.settle()

    def rest(self) -> None:
        """Nothing is sent, and what was sent arrives; the load goes on at the instant at which it stood."""
        stood_ns = self.path.now_ns
        for engine in self.engines:
            engine._sending = False
        self.settle()
        self.path.now_ns = stood_ns
        for engine in self.engines:
            engine._sending = True

    def settle(self) -> None:
        """Until nothing is on its way any more."""
        self._quiet()
        self.path.leftovers()
        self._quiet()

    def _quiet(self) -> None:
        self.step(NS_PER_MS)
        while self.path.busy or any(engine._outstanding for engine in self.engines):
            self.step(NS_PER_MS)

    def finish(self, committed: dict[str, int] | None = None, *, hurried: bool = False) -> list[dict[str, Any]]:
        for engine in self.engines:
            engine.second()
        return [engine.finish(committed or {}, hurried=hurried) for engine in self.engines]


def histogram_of(account: dict[str, Any], kind: str) -> LatencyHistogram:
    """All phases' histograms of a kind in one."""
    together = LatencyHistogram()
    for kinds in account["latency"].values():
        if kind in kinds:
            together.merge(LatencyHistogram.from_json(kinds[kind]))
    return together
