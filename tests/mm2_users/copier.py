"""A stand-in for MM2 on librdkafka's mock brokers: reads the source, writes the mirror, and does what it was told to do
wrong to chosen records. And an engine between two such clusters, with a clock that the test turns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from clients.kafka import RecordConsumer, RecordProducer
from locust_session.load import Assignment
from mm2_users.engine import Engine
from mm2_users.envelope import CANARY, LAYOUT, _envelopes
from mm2_users.payload import HEAD_BYTES
from run_record.counts import Counts
from scenarios.plan import RunPlan
from tests.scenarios.examples import ENVIRONMENT, plan, with_phases

#: The mock creates every topic with so many partitions.
PARTITIONS = 4
QUICK = {"fetch.wait.max.ms": 5}
PATIENCE_S = 15.0
TICK_NS = 10_000_000

Place = tuple[int, int]
"""A record: (partition, sequence number of its stream)."""

_numbers = count(1)


class Mock:
    """A cluster of one broker, which lives as long as this object."""

    def __init__(self) -> None:
        self._owner = Producer({"bootstrap.servers": "x:1", "test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._owner.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def create(self, topic: str) -> None:
        self._owner.list_topics(topic, timeout=10)


def small_plan(
    source: Mock, target: Mock, *, records: int = 80, topics: int = 1, payload: str = "200B", mirrors: bool = True
) -> RunPlan:
    """100 records/s in one phase of three, on fresh topics: a tick of the clock is a record."""
    where = ENVIRONMENT.replace("127.0.0.1:1", source.address).replace("127.0.0.1:2", target.address)
    each_s = records / 2 / 100
    made = plan(
        with_phases(
            f"{{name: one, profile: nominal, rate: 100/s, duration: {each_s * 1000:.0f}ms}}",
            f"{{name: two, profile: nominal, rate: 100/s, duration: {each_s * 1000:.0f}ms}}",
            topics=f'{{count: {topics}, partitions: {PARTITIONS}, name: "{{prefix}}t{next(_numbers)}-{{n}}"}}',
            payload=f"{{bytes: {payload}}}",
        ),
        where,
    )
    for topic in made.topics:
        source.create(topic.source)
        if mirrors:
            target.create(topic.remote)
    return made


class Copier:
    """`plant`: what to do to a record instead of copying it: lose, duplicate, swap (with the next of its partition),
    corrupt (its body), damage (its envelope), hold (until `release`)."""

    def __init__(self, made: RunPlan, source: Mock, target: Mock, plant: Mapping[Place, str] | None = None) -> None:
        self._mirrors = {topic.source: topic.remote for topic in made.topics}
        self._plant = dict(plant or {})
        self.done: Counter[str] = Counter()
        self._behind: dict[tuple[str, int], tuple[bytes, bytes]] = {}
        self._held: list[tuple[str, int, bytes, bytes]] = []
        self._reader = Consumer(
            {
                "bootstrap.servers": source.address,
                "group.id": "copier",
                "enable.auto.commit": False,
                "log_level": 0,
                **QUICK,
            }
        )
        self._reader.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in self._mirrors for number in range(PARTITIONS)]
        )
        self._writer = Producer({"bootstrap.servers": target.address, "linger.ms": 0, "log_level": 0})

    def step(self) -> None:
        for message in self._reader.consume(500, 0):
            assert message.error() is None, message.error()
            self._copy(message)
        self._writer.poll(0)

    def release(self) -> None:
        """Copies what was held back."""
        for topic, partition, value, key in self._held:
            self._write(topic, partition, value, key)
        self._held.clear()

    def close(self) -> None:
        self._writer.flush(5)
        self._reader.close()

    def _copy(self, message: Message) -> None:
        topic, partition, value = message.topic(), message.partition(), message.value()
        action = self._action(partition, value)
        self.done[action] += 1
        mirror, key = self._mirrors[topic], message.key()
        waiting = self._behind.pop((topic, partition), None)
        if action == "swap":
            self._behind[topic, partition] = (value, key)
        elif action == "hold":
            self._held.append((mirror, partition, value, key))
        elif action == "corrupt":
            self._write(mirror, partition, value[:-3] + bytes([value[-3] ^ 1]) + value[-2:], key)
        elif action == "damage":
            at = HEAD_BYTES - 4
            self._write(mirror, partition, value[:at] + b"=" + value[at + 1 :], key)
        elif action != "lose":
            self._write(mirror, partition, value, key)
        if action == "duplicate":
            self._write(mirror, partition, value, key)
        if waiting is not None:
            self._write(mirror, partition, *waiting)

    def _action(self, partition: int, value: bytes) -> str:
        """What to do with it; canaries are always copied."""
        seq = seq_of(value)
        return "copy" if seq is None else self._plant.get((partition, seq), "copy")

    def _write(self, topic: str, partition: int, value: bytes, key: bytes) -> None:
        self._writer.produce(topic, value, key, partition)


def seq_of(value: bytes) -> int | None:
    """The sequence number in a value of any run of ours; None for a canary."""
    raw = _envelopes([value])
    assert raw is not None
    (fields,) = np.frombuffer(raw, dtype=LAYOUT)
    return None if fields["flags"] & CANARY else int(fields["seq"])


class Troublesome(RecordProducer):
    """A source that treats chosen records badly: refuse (before it is sent), refuse_but_keep (the broker says no, and
    has it), silence (no answer, and it has it), silence_and_drop (no answer, and it does not), deny (the broker says
    no, rightly)."""

    def __init__(self, *arguments: Any, plant: Mapping[Place, str], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._plant = dict(plant)
        self._answers: list[Callable[[], None]] = []

    def send(
        self,
        topic: str,
        partition: int,
        messages: list[dict[str, Any]],
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> list[int]:
        sent, refused = [], []
        errors: dict[bytes, KafkaError] = {}
        for position, message in enumerate(messages):
            seq, value = seq_of(message["value"]), message["value"]
            action = "" if seq is None else self._plant.get((partition, seq), "")
            if action == "refuse":
                refused.append(position)
                continue
            code = {
                "refuse_but_keep": KafkaError.TOPIC_AUTHORIZATION_FAILED,
                "deny": KafkaError.TOPIC_AUTHORIZATION_FAILED,
                "silence": KafkaError._MSG_TIMED_OUT,
                "silence_and_drop": KafkaError._MSG_TIMED_OUT,
            }.get(action)
            if code is not None:
                errors[value] = KafkaError(code)
            if action in ("deny", "silence_and_drop"):
                lost = Message(topic=topic, partition=partition, value=value, offset=-1)
                self._answers.append(lambda lost=lost, error=errors[value]: on_delivery(error, lost))
            else:
                sent.append(message)

        def answered(error: KafkaError | None, message: Message) -> None:
            on_delivery(errors.get(message.value(), error), message)

        if sent:
            assert super().send(topic, partition, sent, answered) == []
        return refused

    def serve(self) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            answer()
        super().serve()


class Bench:
    """An engine (or several) between two mock clusters, with a copier, on a clock that is turned by hand."""

    def __init__(
        self,
        source: Mock,
        target: Mock,
        made: RunPlan,
        *,
        plant: Mapping[Place, str] | None = None,
        trouble: Mapping[Place, str] | None = None,
        senders: int = 1,
        producer_extra: Mapping[str, Any] | None = None,
        run_id: str = "run",
    ) -> None:
        self.plan = made
        self.now_ns = 1_000_000_000_000
        self.screen: Counter[str] = Counter()
        where, extra = made.loaded_environment, {"linger.ms": 0, **(producer_extra or {})}

        def producer() -> RecordProducer:
            settings = (made.environment.source, where, made.scenario.producer)
            if trouble is None:
                return RecordProducer(*settings, extra=extra)
            return Troublesome(*settings, plant=trouble, extra=extra)

        self.engines = [
            Engine(
                made,
                screen=lambda kind, durations_ns, _: self.screen.update({kind: len(durations_ns)}),
                clock_ns=lambda: self.now_ns,
                producer=producer,
                consumer=lambda name: RecordConsumer(made.environment.target, where, name=name, extra=QUICK),
            )
            for _ in range(senders)
        ]
        self.copier = Copier(made, source, target, plant)
        for index, engine in enumerate(self.engines):
            engine.prepare(Assignment(run_id=run_id, index=index, senders=senders))

    def pump(self, until: Callable[[], bool], what: str = "") -> None:
        """Steps everything, at a standing clock, until something holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < deadline_s, f"waited for {what}: {[e.second() for e in self.engines]}"
            for engine in self.engines:
                engine.step()
            self.copier.step()
            time.sleep(0.001)

    def canaries(self) -> None:
        for engine in self.engines:
            engine.send_canaries()
        self.pump(
            lambda: all(stream.canary_arrived and stream.canary_acked for e in self.engines for stream in e._streams),
            "canaries",
        )

    def send_all(self) -> None:
        """The whole load, one tick of the clock at a time, and every answer from the source."""
        for engine in self.engines:
            engine.start(self.now_ns + TICK_NS)
        while not all(engine._pacer.done for engine in self.engines):
            self.now_ns += TICK_NS
            for engine in self.engines:
                engine.step()
        self.pump(lambda: not any(engine._outstanding for engine in self.engines), "answers")

    def arrivals(self, *, missing: int, duplicated: int = 0, unreadable: int = 0, others: int = 0) -> None:
        """Waits until so many are still missing, then a little longer, in case more comes than should."""

        def there() -> bool:
            streams = [stream.ledger for engine in self.engines for stream in engine._streams]
            return (
                sum(ledger.missing().count() for ledger in streams) == missing
                and sum(engine._arrivals.duplicated for engine in self.engines) == duplicated
                and sum(engine._arrivals._unreadable for engine in self.engines) == unreadable
                and sum(ledger.arrived.minus(ledger.acked).count() for ledger in streams) == others
            )

        self.pump(there, f"{missing} missing, {duplicated} duplicated, {unreadable} unreadable, {others} others")
        until_s = time.monotonic() + 0.05
        self.pump(lambda: time.monotonic() > until_s)

    def finish(self, committed: dict[str, int] | None = None) -> list[dict[str, Any]]:
        accounts = [engine.finish(committed or {}) for engine in self.engines]
        self.copier.close()
        return accounts


def totals(accounts: list[dict[str, Any]]) -> Counts:
    """All phases of all accounts, and what belongs to none."""
    parts = [counts for one in accounts for counts in (*one["phases"].values(), one["unattributed"])]
    return sum((Counts(**part) for part in parts), Counts())
