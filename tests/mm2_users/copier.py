"""A stand-in for MM2 on librdkafka's mock brokers: reads the source, writes the mirror, and does what it was told to do
wrong to chosen records. And an engine between two such clusters, with a clock that the test turns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import count
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from clients.kafka import RecordConsumer, RecordProducer, client_configuration
from clients.kafka_topics import TopicLooks, TopicSeen
from locust_session.load import Assignment
from mm2_users.engine import Engine
from run_record.counts import Counts
from scenarios.environment import LoadedEnvironment
from scenarios.plan import RunPlan, make_plan
from scenarios.scenario import parse_scenario
from tests.mm2_users.saboteur import NEVER_THERE, PARTITIONS, UNANSWERED, Copy, Place, Saboteur, seq_of
from tests.scenarios.examples import ENVIRONMENT, plan, with_phases

QUICK: dict[str, Any] = {"fetch.wait.max.ms": 5}
PATIENCE_S = 15.0
TICK_NS = 10_000_000

_numbers = count(1)


class Mock:
    """A cluster of one broker, which lives as long as this object."""

    def __init__(self, *, rtt_ms: int = 0) -> None:
        settings = {"bootstrap.servers": "x:1", "log_level": 0, "test.mock.num.brokers": 1}
        self._owner = Producer(settings | {"test.mock.broker.rtt": rtt_ms})
        (broker,) = self._owner.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def create(self, topic: str) -> None:
        self._owner.list_topics(topic, timeout=10)


def small_plan(
    source: Mock,
    target: Mock,
    *,
    records: int = 80,
    per_s: int = 100,
    topics: int = 1,
    payload: str = "200B",
    buffer: str = "32MiB",
    mirrors: bool = True,
) -> RunPlan:
    """Half of the records in each of two phases, on fresh topics; at 100/s a tick of the clock is a record."""
    where = ENVIRONMENT.replace("127.0.0.1:1", source.address).replace("127.0.0.1:2", target.address)
    where = ENVIRONMENT.replace("127.0.0.1:1", source.address).replace("127.0.0.1:2", target.address)
    text = _scenario(records=records, per_s=per_s, topics=topics, payload=payload, buffer=buffer)
    made = plan(text, where)
    for topic in made.topics:
        source.create(topic.source)
        if mirrors:
            target.create(topic.remote)
    return made


def kafka_plan(seen: LoadedEnvironment, creator: LoadedEnvironment, *, records: int) -> RunPlan:
    """The same on real clusters, with `creator`'s rights to create the topics and their mirrors."""
    text = _scenario(records=records, per_s=100, topics=1, payload="200B", buffer="32MiB")
    scenario = parse_scenario(text, file="small.yaml", environment=seen.environment)
    made = make_plan(scenario, seen, rehearsal=Fraction(1))
    clusters = creator.environment.source, creator.environment.target
    for cluster, names in zip(clusters, zip(*((t.source, t.remote) for t in made.topics), strict=True), strict=True):
        admin = AdminClient(client_configuration(cluster, creator, "creator"))
        for created in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            created.result(20)
    return made


def _scenario(*, records: int, per_s: int, topics: int, payload: str, buffer: str) -> str:
    half = f"profile: nominal, rate: {per_s}/s, duration: {1000 * records / 2 / per_s:.0f}ms"
    return with_phases(
        f"{{name: one, {half}}}",
        f"{{name: two, {half}}}",
        topics=f'{{count: {topics}, partitions: {PARTITIONS}, name: "{{prefix}}t{next(_numbers)}-{{n}}"}}',
        payload=f"{{bytes: {payload}}}",
    ).replace("canary:", f"producer: {{buffer: {buffer}}}\ncanary:")


class Copier:
    """Reads the source from where it stands and writes the mirrors, but for what the saboteur makes of the records.

    `seen`: the clusters as a user sees them who may do so.
    """

    def __init__(self, made: RunPlan, seen: LoadedEnvironment, plant: Mapping[Place, str] | None = None) -> None:
        self._mirrors = {topic.source: topic.remote for topic in made.topics}
        self._saboteur = Saboteur(plant)
        settings = {"log_level": 0, "enable.auto.commit": False, "auto.offset.reset": "error", **QUICK}
        source = client_configuration(seen.environment.source, seen, "copier")
        self._reader = Consumer(source | {"group.id": "mm2gate-copier"} | settings)
        self._reader.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in self._mirrors for number in range(PARTITIONS)]
        )
        target = client_configuration(seen.environment.target, seen, "copier")
        self._writer = Producer(target | {"linger.ms": 0, "log_level": 0, "allow.auto.create.topics": True})

    @property
    def done(self) -> Counter[str]:
        """What was done to how many records."""
        return self._saboteur.done

    def step(self) -> None:
        for message in self._reader.consume(500, 0):
            assert message.error() is None, message.error()
            topic, value = message.topic(), message.value()
            self._write(topic, self._saboteur.copies(topic, message.partition(), message.key(), value))
        self._writer.poll(0)

    def leftovers(self) -> None:
        """Copies what was held back."""
        for topic in self._mirrors:
            self._write(topic, self._saboteur.leftovers(topic))

    def flush(self) -> None:
        """Everything copied so far is on the target."""
        assert self._writer.flush(20) == 0

    def close(self) -> None:
        self._writer.flush(5)
        self._reader.close()

    def _write(self, topic: str, copies: list[Copy]) -> None:
        for copy in copies:
            self._writer.produce(self._mirrors[topic], copy.value, copy.key, copy.partition)


class Troublesome(RecordProducer):
    """A source that treats chosen records badly (see saboteur.py)."""

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
            if action:
                unanswered = action in UNANSWERED
                errors[value] = KafkaError(
                    KafkaError._MSG_TIMED_OUT if unanswered else KafkaError.TOPIC_AUTHORIZATION_FAILED
                )
            if action in NEVER_THERE:
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


class MockLooks(TopicLooks):
    """The mock brokers have no controller, so they tell no topic ids and no settings; all their topics are alike, and
    those that nobody wrote to are made when they are asked for."""

    def topics(self, names, *, timeout_s):
        return {name: TopicSeen(partitions=PARTITIONS, id=None) for name in names}

    def retention(self, names, *, timeout_s):
        return dict.fromkeys(names, "not told")


class Bench:
    """An engine (or several) between two clusters, with a copier, on a clock that is turned by hand."""

    def __init__(
        self,
        made: RunPlan,
        *,
        copier: LoadedEnvironment | None = None,
        plant: Mapping[Place, str] | None = None,
        trouble: Mapping[Place, str] | None = None,
        senders: int = 1,
        producer_extra: Mapping[str, Any] | None = None,
        consumer_extra: Mapping[str, Any] | None = None,
        run_id: str = "run",
        real_clock: bool = False,
    ) -> None:
        self.plan = made
        self.never_there = sum(action in NEVER_THERE for action in (trouble or {}).values())
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
                clock_ns=time.monotonic_ns if real_clock else lambda: self.now_ns,
                producer=producer,
                consumer=lambda name: RecordConsumer(
                    made.environment.target, where, name=name, extra={**QUICK, **(consumer_extra or {})}
                ),
                looks=(lambda cluster: MockLooks(cluster, where)) if copier is None else None,
            )
            for _ in range(senders)
        ]
        self.copier = Copier(made, copier or where, plant)
        for index, engine in enumerate(self.engines):
            engine.prepare(Assignment(run_id=run_id, index=index, senders=senders))

    def pump(self, until: Callable[[], bool], what: str = "", *, within_s: float = PATIENCE_S) -> None:
        """Steps everything, at a standing clock, until something holds."""
        deadline_s = time.monotonic() + within_s
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
                and sum(engine._arrivals.unattributed.corrupted for engine in self.engines) == unreadable
                and sum(ledger.arrived.minus(ledger.acked).count() for ledger in streams) == others
            )

        self.pump(there, f"{missing} missing, {duplicated} duplicated, {unreadable} unreadable, {others} others")
        self.wait(0.05)

    def wait(self, seconds: float) -> None:
        """Steps everything for a while."""
        until_s = time.monotonic() + seconds
        self.pump(lambda: time.monotonic() > until_s)

    def counts_are(self, wanted: Counts) -> None:
        """Waits until all records have been copied and read, and the ledgers say so, then a little longer."""
        reached = wanted.sent - self.never_there
        self.pump(lambda: sum(self.copier.done.values()) - self.copier.done["canary"] == reached, "the copier")
        self.copier.leftovers()
        self.pump(lambda: self.counted() == wanted, f"{wanted}; they are {self.counted()}")
        self.wait(0.05)

    def counted(self) -> Counts:
        """What the ledgers say now."""
        streams = [part for e in self.engines for stream in e._streams for part in stream.ledger.counts().values()]
        return sum([*streams, *(engine._arrivals.unattributed for engine in self.engines)], Counts())

    def finish(self, committed: dict[str, int] | None = None) -> list[dict[str, Any]]:
        accounts = [engine.finish(committed or {}) for engine in self.engines]
        self.copier.close()
        return accounts


def totals(accounts: list[dict[str, Any]]) -> Counts:
    """All phases of all accounts, and what belongs to none."""
    parts = [counts for one in accounts for counts in (*one["phases"].values(), one["unattributed"])]
    return sum((Counts(**part) for part in parts), Counts())
