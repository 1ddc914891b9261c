"""A producer and a consumer that all greenlets of a process share.

None of their calls stops the hub: a greenlet that waits for an answer, for room or for records lets the others run.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, cast

import gevent
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from gevent.event import Event
from gevent.lock import RLock
from gevent.queue import JoinableQueue

from clients.kafka import DeliveryCallback, RecordConsumer, RecordProducer, _said, off_hub
from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.scenario import ProducerSettings

T = TypeVar("T")
Headers = Mapping[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]]
_HeaderList = list[tuple[str, str | bytes | None]]
Start = Literal["beginning", "end"]

SERVE_EVERY_S = 0.002
#: Records sent and not yet answered; then `produce` waits for room.
MOST_UNANSWERED_RECORDS = 100_000
#: Records read and not yet taken, of one topic, and their bytes; beyond either it is paused until half are gone.
MOST_UNTAKEN_RECORDS = 10_000
MOST_UNTAKEN_BYTES = 64 * 1024**2
MOST_READ_AT_ONCE = 2000
LOOK_AGAIN_S = 1.0
LOG = logging.getLogger("mm2gate.kafka")


class RequestFailed(Exception):
    """A request to Kafka that came to nothing. The text begins with Kafka's name of the error, and is the same for all
    that failed alike, so that Locust counts them in one row."""

    @classmethod
    def by(cls, error: KafkaError, *, last: KafkaError | None = None) -> Self:
        """In Kafka's words; `last` is what the connection said before, which is often the reason."""
        why = f" ({_said(last)})" if last is not None and last.code() != error.code() else ""
        return cls(f"{error.name()}: {_said(error)}{why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int
    """As the record carries it: when it was created, unless the topic stamps records itself."""

    @property
    def size_bytes(self) -> int:
        """Of key, value and headers."""
        headers_bytes = sum(len(name) + len(content or b"") for name, content in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers_bytes

    @classmethod
    def of(cls, message: Message) -> Record:
        """Copies a message that has no error."""
        return cls(
            topic=message.topic() or "",
            partition=-1 if (partition := message.partition()) is None else partition,
            offset=-1 if (offset := message.offset()) is None else offset,
            key=_bytes(message.key()),
            value=_bytes(message.value()),
            headers=tuple((name, _bytes(content)) for name, content in cast("_HeaderList", message.headers() or [])),
            timestamp_ms=message.timestamp()[1],
        )


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


class SharedProducer(RecordProducer):
    """Sends single records; keys go where Kafka's own clients put them, which is not librdkafka's default."""

    def __init__(
        self,
        cluster: Cluster,
        environment: LoadedEnvironment,
        settings: ProducerSettings,
        *,
        answer_within_s: float,
        extra: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(
            cluster,
            environment,
            settings,
            extra={
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": MOST_UNANSWERED_RECORDS,
                "delivery.timeout.ms": round(answer_within_s * 1000),
                # A topic that does not exist would otherwise be looked for past the answer's deadline.
                "topic.metadata.propagation.max.ms": round(min(answer_within_s, 30.0) * 1000),
            }
            | dict(extra),
        )
        self._most_per_s = environment.environment.ceilings.records_per_s
        self._second, self._sent_in_second = 0, 0
        self._told: JoinableQueue[Callable[[], None]] = JoinableQueue()
        self._server = gevent.spawn(_forever, self.serve)
        self._teller = gevent.spawn(self._tell)

    def produce(
        self,
        topic: str,
        value: bytes | str | None,
        *,
        key: bytes | str | None,
        headers: Headers | None,
        partition: int | None,
        on_answer: DeliveryCallback,
        timeout_s: float,
    ) -> None:
        """Queues one record; its answer comes to `on_answer`, on the hub. Waits for room, and below the ceiling.

        `on_answer` runs inside librdkafka's poll, so it must let no other greenlet run: what may, it hands to `tell`.
        Raises RequestFailed when there was no room within `timeout_s`, or when the record is refused at once.
        """
        deadline_s = time.monotonic() + timeout_s
        self._stay_below_ceiling()
        optional: dict[str, Any] = {}
        if headers is not None:
            optional["headers"] = dict(headers) if isinstance(headers, Mapping) else list(headers)
        if partition is not None:
            optional["partition"] = partition
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=on_answer, **optional)
                break
            except BufferError:
                if time.monotonic() >= deadline_s:
                    raise RequestFailed(
                        f"_QUEUE_FULL: no room for a record within {timeout_s:g} s; answers come slower than records"
                    ) from None
                gevent.sleep(SERVE_EVERY_S)
            except KafkaException as error:
                raise RequestFailed.by(error.args[0]) from None

    def _stay_below_ceiling(self) -> None:
        """Of the environment's records/s. Processes know nothing of each other, so each stays below it by itself."""
        while True:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._sent_in_second = second, 0
            if self._sent_in_second < self._most_per_s:
                self._sent_in_second += 1
                return
            gevent.sleep(second + 1 - time.monotonic())

    @property
    def unanswered(self) -> int:
        """Records without an answer yet."""
        return len(self._producer)

    def tell(self, of_an_answer: Callable[[], None]) -> None:
        """Has this called soon, in its turn, by a greenlet that may wait as long as it likes. Never waits itself."""
        self._told.put(of_an_answer)

    def finish(self, timeout_s: float) -> int:
        """Waits for what is under way, then gives it up; the number given up. Every record gets its answer, on the hub.

        What is told of the answers is waited for once more as long. (RecordProducer.close would run the answers in a
        native thread.)
        """
        self._wait_answered(timeout_s)
        left = self.unanswered
        if left:
            self._producer.purge()
            self._wait_answered(5.0)
        self._server.kill()
        self._told.join(timeout_s)
        if untold := self._told.unfinished_tasks:
            LOG.warning("answers that are not counted: %d; a listener of Locust's request event takes too long", untold)
        self._teller.kill()
        return left

    def _wait_answered(self, timeout_s: float) -> None:
        """(The server's greenlet polls. A second poll beside one that waits would end the process, in C.)"""
        deadline_s = time.monotonic() + timeout_s
        while self.unanswered and time.monotonic() < deadline_s:
            gevent.sleep(SERVE_EVERY_S)

    def _tell(self) -> None:
        for of_an_answer in self._told:
            try:
                of_an_answer()
            except Exception:
                LOG.exception("an answer could not be counted")
            finally:
                self._told.task_done()


class _Asker(RecordConsumer):
    """Asks where topics begin and end, on a connection of its own.

    librdkafka lets nobody read from a client that waits for metadata: `consume(n, 0)` stood still, and the hub with it,
    for as long as a `list_topics` in another thread had no broker to ask.
    """

    def partition_count(self, topic: str, timeout_s: float) -> int:
        """0 when the topic does not exist. Raises Refused when it may not be read, RequestFailed."""
        return self._asked(self._existing, {topic}, timeout_s).get(topic, 0)

    def end(self, topic: str, partition: int, timeout_s: float) -> int:
        """The offset behind the last record. Raises RequestFailed."""
        return self._asked(self._end_of, topic, partition, timeout_s)

    def _asked(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return off_hub(function, *arguments)
        except KafkaException as error:
            raise RequestFailed.by(error.args[0], last=self.errors.last) from None


class SharedConsumer(RecordConsumer):
    """Reads topics for all who take from them: each record goes to one taker, as within a consumer group.

    With a `group` it subscribes, and Kafka shares the partitions among the processes of the group; without one it reads
    the partitions that are assigned.
    """

    def __init__(
        self,
        cluster: Cluster,
        environment: LoadedEnvironment,
        *,
        group: str | None = None,
        start: Start = "end",
        extra: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(
            cluster,
            environment,
            name="users",
            extra={
                "auto.offset.reset": "latest" if start == "end" else "earliest",
                "queued.min.messages": MOST_UNTAKEN_RECORDS,
                "queued.max.messages.kbytes": 65_536,
            }
            | (
                {}
                if group is None
                else {"group.id": group, "enable.auto.commit": True, "enable.auto.offset.store": True}
            )
            | dict(extra),
        )
        self._environment, self._extra = environment, extra
        self._changing = RLock()
        self._subscribed: set[str] = set()
        self._assigned: set[str] = set()
        self._untaken: dict[str, deque[Record]] = {}
        self._untaken_bytes: dict[str, int] = {}
        self._arrived: dict[str, Event] = {}
        self._failures: dict[str, RequestFailed] = {}
        self._paused: set[str] = set()
        self._server = gevent.spawn(_forever, self._serve)

    def subscribe(self, topics: Sequence[str], *, timeout_s: float) -> None:
        """Joins the group for these topics too, and waits until it has been given its partitions of them, if any.

        Raises RequestFailed when the group has given nothing within `timeout_s`.
        """
        with self._changing:
            if self._subscribed.issuperset(topics):
                return
            wanted = self._subscribed.union(topics)
            for topic in topics:
                self._expect(topic)
            joined = Event()
            self._consumer.subscribe(sorted(wanted), on_assign=lambda *_: joined.set())
            if not joined.wait(timeout_s):
                last = f" ({_said(self.errors.last)})" if self.errors.last is not None else ""
                raise RequestFailed(f"_TIMED_OUT: the group gave no partitions within {timeout_s:g} s{last}")
            self._subscribed = wanted

    def assign(self, topic: str, partitions: Sequence[int] | None, *, start: Start, timeout_s: float) -> None:
        """Reads these partitions (all when None) too, from their present end or their beginning.

        A topic that does not exist is waited for, and read from its beginning. Raises RequestFailed when it does not
        exist after `timeout_s`, Refused when it may not be read.
        """
        with self._changing:
            if topic in self._assigned:
                return
            self._expect(topic)  # before anything fails: users take from it all the same
            asker = _Asker(self._cluster, self._environment, name="users", extra=self._extra)
            try:
                positions = self._positions(asker, topic, partitions, start, timeout_s)
            finally:
                off_hub(asker.close)
            self._consumer.incremental_assign(positions)
            self._assigned.add(topic)

    def take(self, topic: str, most: int, timeout_s: float) -> list[Record]:
        """Records that nobody has taken, as soon as there are any; empty when none came within `timeout_s`.

        Raises RequestFailed when the topic cannot be read.
        """
        untaken = self._untaken[topic]
        deadline_s = time.monotonic() + timeout_s
        while not untaken:
            if topic in self._failures:
                raise self._failures.pop(topic)
            left_s = deadline_s - time.monotonic()
            self._arrived[topic].clear()
            if left_s <= 0 or not self._arrived[topic].wait(left_s):
                break
        taken = [untaken.popleft() for _ in range(min(most, len(untaken)))]
        self._untaken_bytes[topic] -= sum(record.size_bytes for record in taken)
        return taken

    def finish(self) -> None:
        """Stops reading and leaves the group."""
        self._server.kill()
        off_hub(self.close)

    def _positions(
        self, asker: _Asker, topic: str, partitions: Sequence[int] | None, start: Start, timeout_s: float
    ) -> list[TopicPartition]:
        deadline_s = time.monotonic() + timeout_s
        while not (count := asker.partition_count(topic, timeout_s)):
            if time.monotonic() >= deadline_s:
                raise RequestFailed(f"UNKNOWN_TOPIC_OR_PART: {topic} does not exist")
            gevent.sleep(LOOK_AGAIN_S)
            start = "beginning"
        numbers = range(count) if partitions is None else partitions
        unknown = sorted(set(numbers) - set(range(count)))
        if unknown:
            raise RequestFailed(
                f"_UNKNOWN_PARTITION: {topic} has {count} partitions, and none with number {unknown[0]}"
            )
        return [
            TopicPartition(
                topic, number, OFFSET_BEGINNING if start == "beginning" else asker.end(topic, number, timeout_s)
            )
            for number in numbers
        ]

    def _expect(self, topic: str) -> None:
        self._untaken.setdefault(topic, deque())
        self._untaken_bytes.setdefault(topic, 0)
        self._arrived.setdefault(topic, Event())

    def _serve(self) -> None:
        for message in self.read(MOST_READ_AT_ONCE):
            topic, error = message.topic() or "", message.error()
            if topic not in self._untaken:
                continue  # an error of the whole client, which ErrorLog has said
            if error is None:
                record = Record.of(message)
                self._untaken[topic].append(record)
                self._untaken_bytes[topic] += record.size_bytes
            else:
                self._failures[topic] = RequestFailed.by(error)
            self._arrived[topic].set()
        for topic in list(self._untaken):  # users add topics while this waits off the hub
            fullness = self._fullness(topic)
            if fullness >= 1 and topic not in self._paused:
                self._paused.add(topic)
                off_hub(self._consumer.pause, self._places(topic))
            elif fullness <= 0.5 and topic in self._paused:
                self._paused.discard(topic)
                off_hub(self._consumer.resume, self._places(topic))

    def _fullness(self, topic: str) -> float:
        """How much of what may wait untaken does."""
        return max(len(self._untaken[topic]) / MOST_UNTAKEN_RECORDS, self._untaken_bytes[topic] / MOST_UNTAKEN_BYTES)

    def _places(self, topic: str) -> list[TopicPartition]:
        return [place for place in self._consumer.assignment() if place.topic == topic]


def _forever(step: Callable[[], None]) -> None:
    """A step every two milliseconds, never 0, which would starve timers and heartbeats. One that fails is logged."""
    while True:
        try:
            step()
        except Exception:
            LOG.exception("a shared Kafka client stumbled")
            gevent.sleep(LOOK_AGAIN_S)
        gevent.sleep(SERVE_EVERY_S)
