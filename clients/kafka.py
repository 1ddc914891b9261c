"""The door to confluent-kafka: producer, consumer and their configuration. Nothing else imports it for data.

Calls that wait (metadata, watermarks, flush, close) stop the whole process under gevent, so they run in a native
thread through `off_hub`; what stays on the hub never waits: `send`, `serve`, `read`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import gevent
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Refused, Unreachable
from scenarios.scenario import ProducerSettings
from scenarios.secrets import hidden_of_others

T = TypeVar("T")
DeliveryCallback = Callable[[KafkaError | None, Message], None]

REPEAT_LOG_S = 10.0
#: Every fetch costs client and broker more than the records in it, so at high rates a broker collects some first.
FETCH_WAIT_MS = 4
#: What may wait in a producer: a quarter of librdkafka's own limits, so that ours is always met first.
MOST_BUFFERED_BYTES = 512 * 1024**2 - 1024
MOST_BUFFERED_RECORDS = 2_500_000
#: Error codes by which the source proves that it did not take the record. All others leave the question open; so do
#: librdkafka's own, by which it gives up records that it may have sent before.
REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
)
#: The same, where a record is larger than the topic accepts.
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
#: What librdkafka may send at once. The topic decides what it accepts; this side sets no limit of its own below it.
MOST_MESSAGE_BYTES = 16 * 1024**2
#: Brokers measure whole batches against max.message.bytes, so ours stay below its default.
MOST_BATCH_BYTES = 1_000_000
#: How long librdkafka had been at it, which ends its sentences.
_TIMING = re.compile(r" \(after \d+ms in state \w+.*\)$")
#: What a broker says of a partition that it does not lead yet.
NOT_YET = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
)
NOT_YET_PAUSE_S = 0.1
_LOGIN_FAILED = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)


def off_hub(function: Callable[..., T], *arguments: Any) -> T:
    """Runs a call that waits in a native thread, while other greenlets go on; returns or raises what it does.

    The outcome travels as a value: gevent would print the traceback of anything raised in its thread.
    """

    def outcome() -> tuple[T | None, Exception | None]:
        try:
            return function(*arguments), None
        except Exception as error:  # noqa: BLE001 - raised again below, where it belongs
            return None, error

    result, error = gevent.get_hub().threadpool.apply(outcome)
    if error is not None:
        raise error
    return cast("T", result)


class ErrorLog:
    """Collects what librdkafka says of its connections, and logs each distinct sentence once in ten seconds.

    Sentences that differ in their timing only are the same one. A quiet one logs nothing.
    """

    def __init__(self, who: str, *, quiet: bool = False) -> None:
        self.last: KafkaError | None = None
        self.login_failed: KafkaError | None = None
        self._quiet = quiet
        self._logged_at_s: dict[tuple[int, str], float] = {}
        self._logger = logging.getLogger(f"mm2gate.kafka.{who}")

    def __call__(self, error: KafkaError) -> None:
        self.last = error
        if error.code() in _LOGIN_FAILED:
            self.login_failed = error
        if self._quiet:
            return
        text, now_s = hidden_of_others(error.str()), time.monotonic()
        sentence = error.code(), _TIMING.sub("", text)
        if now_s - self._logged_at_s.get(sentence, -REPEAT_LOG_S) >= REPEAT_LOG_S:
            self._logged_at_s[sentence] = now_s
            self._logger.warning("%s", text)


def client_configuration(cluster: Cluster, environment: LoadedEnvironment, who: str) -> dict[str, Any]:
    """librdkafka's connection settings for a cluster. Raises Refused when a secret cannot be had."""
    security = cluster.security
    settings: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "client.id": f"mm2gate-{who}",
        "security.protocol": security.protocol,
        # librdkafka writes to stderr by itself, twenty lines a second on a dead broker; ErrorLog says it better.
        "log_level": 0,
        "allow.auto.create.topics": False,
        "reconnect.backoff.max.ms": 1000,
    }
    if security.ca_file is not None:
        settings["ssl.ca.location"] = str(environment.path(security.ca_file))
    if security.mechanism is not None:
        settings["sasl.mechanism"] = security.mechanism
        settings["sasl.username"] = security.username
        settings["sasl.password"] = environment.password(security, of=f"{environment.key_of(cluster)}.security")
    return settings


def identify(cluster: Cluster, environment: LoadedEnvironment, *, timeout_s: float = 10.0) -> str:
    """Logs in and checks the cluster's identity; its id. Blocks: call it `off_hub`.

    Raises Refused (wrong password, wrong cluster) or Unreachable, before anything is written.
    """
    errors = ErrorLog(cluster.alias, quiet=True)  # the sentence below is the only one needed
    settings = client_configuration(cluster, environment, "identify") | {"error_cb": errors}
    where = f"{cluster.alias} cluster at {cluster.bootstrap_servers}"
    try:
        client = Producer(settings)
    except KafkaException as error:
        raise Refused(
            f"{where}: {_said(error.args[0])}; correct {environment.key_of(cluster)} in {environment.file}"
        ) from None
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            answered = client.list_topics(timeout=1.0).cluster_id
            break
        except KafkaException as error:
            client.poll(0)
            if errors.login_failed is not None:
                key = f"{environment.key_of(cluster)}.security"
                raise Refused(
                    f"{where}: login by {key} failed ({_said(errors.login_failed)}); check {key} in {environment.file}"
                ) from None
            if time.monotonic() > deadline_s:
                why = _said(errors.last or error.args[0])
                raise Unreachable(
                    f"{where}: no answer within {timeout_s:g} s ({why}); is it up, and is the address right?"
                ) from None
    if answered != cluster.cluster_id:
        raise Refused(
            f"{where}: is cluster {answered}, but {environment.file} says {cluster.cluster_id}; "
            "this is another cluster, so nothing was touched"
        )
    return cluster.cluster_id


def _said(error: KafkaError) -> str:
    """librdkafka's sentence without the address and the timing that it wraps it in, and without a login."""
    return hidden_of_others(_TIMING.sub("", re.sub(r"^\S+://\S+: ", "", error.str())))


class RecordProducer:
    """An idempotent, acks=all producer that never waits and never reorders.

    librdkafka's own queue limit is set beyond ours: it would refuse single records of a batch and take later ones,
    which would be a reorder of the generator's making. The engine asks for room first, so a full buffer is
    back-pressure, seen as send delay.
    """

    def __init__(
        self,
        cluster: Cluster,
        environment: LoadedEnvironment,
        settings: ProducerSettings,
        extra: Mapping[str, Any] = {},
    ) -> None:
        self.errors = ErrorLog(cluster.alias)
        self._where = f"{cluster.alias} cluster at {cluster.bootstrap_servers}"
        self._producer = Producer(
            client_configuration(cluster, environment, "load")
            | {
                "enable.idempotence": True,
                "acks": settings.acks,
                "compression.type": settings.compression,
                "linger.ms": round(settings.linger * 1000, 3),
                "batch.size": min(settings.batch, MOST_BATCH_BYTES),
                "queue.buffering.max.kbytes": max(4 * min(settings.buffer, MOST_BUFFERED_BYTES) // 1024, 65_536),
                "queue.buffering.max.messages": 4 * MOST_BUFFERED_RECORDS,
                "message.max.bytes": MOST_MESSAGE_BYTES,
                "delivery.timeout.ms": 60_000,
                "error_cb": self.errors,
            }
            | dict(extra)
        )

    def know(self, topics: Iterable[str], *, timeout_s: float = 30.0) -> None:
        """Fetches the topics' metadata, so that the first batch does not go to a partition still unknown. Blocks.

        Raises Unreachable.
        """
        for topic in topics:
            try:
                self._producer.list_topics(topic, timeout=timeout_s)
            except KafkaException as error:
                raise Unreachable(f"{self._where}: no metadata of {topic} ({_said(error.args[0])})") from None

    def send(
        self, topic: str, partition: int, messages: list[dict[str, Any]], on_delivery: DeliveryCallback
    ) -> list[int]:
        """Queues a batch for one partition; positions of the records that librdkafka refused at once.

        (produce_batch ignores a partition given per message, so a batch is of one partition.)
        """
        queued = self._producer.produce_batch(topic, messages, partition=partition, on_delivery=on_delivery)
        if queued == len(messages):
            return []
        return [position for position, message in enumerate(messages) if "_error" in message]

    def send_each(self, topic: str, partition: int, messages: Sequence[dict[str, Any]]) -> list[int]:
        """Queues records that have headers, which librdkafka takes one by one, each with its own `on_delivery`."""
        refused = []
        for position, message in enumerate(messages):
            try:
                self._producer.produce(topic, partition=partition, **message)
            except (BufferError, KafkaException):
                refused.append(position)
        return refused

    def serve(self) -> None:
        """Runs the delivery callbacks that are due."""
        self._producer.poll(0)

    def close(self, timeout_s: float) -> int:
        """Waits for what is under way, then gives it up; the number given up. Blocks: call it `off_hub`.

        Every record gets its delivery callback, if only with a purge error, so none is left without an account.
        """
        left = self._producer.flush(timeout_s)
        if left:
            self._producer.purge()
            self._producer.flush(5.0)
        return left


class RecordConsumer:
    """Reads chosen partitions from chosen offsets, without a consumer group."""

    def __init__(
        self,
        cluster: Cluster,
        environment: LoadedEnvironment,
        *,
        name: str,
        fetch_bytes: int = 1,
        extra: Mapping[str, Any] = {},
    ) -> None:
        """`fetch_bytes`: a broker collects so much, for at most FETCH_WAIT_MS, before it answers a fetch."""
        self._cluster = cluster
        self._user = f"the user of {environment.key_of(cluster)}.security"
        self.errors = ErrorLog(cluster.alias)
        self._starts: dict[tuple[str, int], int] = {}
        self._configuration = (
            client_configuration(cluster, environment, "verify")
            | {
                "group.id": f"mm2gate-{name}",  # librdkafka wants one; nothing is ever committed to it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # A position that is no longer there (retention passed it, the topic was made again) is an event for
                # `read`'s caller, who must know that a stretch was never read.
                "auto.offset.reset": "error",
                "queued.min.messages": 100_000,
                "queued.max.messages.kbytes": 262_144,
                "fetch.error.backoff.ms": 50,
                # A mirror may appear only once MM2 has found the new source topic.
                "topic.metadata.refresh.interval.ms": 2000,
                "topic.metadata.refresh.fast.interval.ms": 500,
                "error_cb": self.errors,
            }
            | ({"fetch.min.bytes": fetch_bytes, "fetch.wait.max.ms": FETCH_WAIT_MS} if fetch_bytes > 1 else {})
            | dict(extra)
        )
        self._consumer = Consumer(self._configuration)

    def start_at_end(self, partitions: Sequence[tuple[str, int]], *, timeout_s: float = 10.0) -> dict[str, int]:
        """Assigns the partitions at their current end; topic → partitions that do not exist yet. Blocks.

        A partition that does not exist yet is read from its beginning when MM2 creates it. Raises Refused when one may
        not be read, Unreachable when the cluster does not say.
        """
        try:
            return self._start_at_end(partitions, timeout_s)
        except KafkaException as error:
            why = _said(self.errors.login_failed or error.args[0])
            raise Unreachable(
                f"{self._cluster.alias} cluster at {self._cluster.bootstrap_servers}: no answer on where its topics "
                f"end ({why}); is it up?"
            ) from None

    def _start_at_end(self, partitions: Sequence[tuple[str, int]], timeout_s: float) -> dict[str, int]:
        existing = self._existing({topic for topic, _ in partitions}, timeout_s)
        positions: list[TopicPartition] = []
        absent: dict[str, int] = {}
        for topic, partition in partitions:
            if partition < existing.get(topic, 0):
                positions.append(TopicPartition(topic, partition, self._end_of(topic, partition, timeout_s)))
            else:
                positions.append(TopicPartition(topic, partition, OFFSET_BEGINNING))
                absent[topic] = absent.get(topic, 0) + 1
        self._starts = {(one.topic, one.partition): one.offset for one in positions}
        self._consumer.assign(positions)
        return absent

    def _end_of(self, topic: str, partition: int, timeout_s: float) -> int:
        """Where a partition ends. One that was made a moment ago has no leader yet, or one that does not know it."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline_s - time.monotonic(), 0.1)
            try:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=left_s)
            except KafkaException as error:
                if error.args[0].code() not in NOT_YET or time.monotonic() > deadline_s:
                    raise
                time.sleep(NOT_YET_PAUSE_S)
            else:
                return int(end)

    def _existing(self, topics: set[str], timeout_s: float) -> dict[str, int]:
        """Partition counts of the topics that exist. Raises Refused when one may not be read."""
        counts = {}
        for name in sorted(topics):
            count = self._partitions(name, timeout_s)
            if count is None:
                raise Refused(
                    f"{self._cluster.alias} cluster at {self._cluster.bootstrap_servers}: {name} may not be read; "
                    f"{self._user} needs READ and DESCRIBE on it"
                )
            if count:
                counts[name] = count
        return counts

    def _partitions(self, name: str, timeout_s: float) -> int | None:
        """How many partitions a topic has, 0 when it does not exist; None when it may not be read.

        Asked by name: a full list leaves out alike what is not there and what may not be seen.
        """
        topic = self._consumer.list_topics(name, timeout=timeout_s).topics[name]
        if topic.error is not None and topic.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return None
        return 0 if topic.error is not None else len(topic.partitions)

    def read(self, most: int) -> list[Message]:
        """What has been fetched, without waiting; error events among it have an `error()`."""
        messages: list[Message] = self._consumer.consume(most, 0)
        return messages

    def start_again(self, topic: str, partition: int) -> None:
        """Reads a partition from its beginning, after it said that the position is no longer there."""
        wanted = TopicPartition(topic, partition, OFFSET_BEGINNING)
        self._consumer.incremental_unassign([wanted])
        self._consumer.incremental_assign([wanted])
        self._starts[topic, partition] = OFFSET_BEGINNING

    def read_to_end(self, *, timeout_s: float = 5.0) -> frozenset[tuple[str, int]]:
        """The partitions in which nothing lies behind what `read` has returned. Blocks: call it `off_hub`.

        Asked of the broker, by reading on: offsets would not tell, since transactions leave markers behind the last
        record. One that is still open may hold records that `read` will only see later: they count. A partition that
        gives no answer in time is not among them.
        """
        deadline_s = time.monotonic() + timeout_s
        at_end: dict[tuple[str, int], bool] = {}
        existing: dict[str, int | None] = {}
        positions = []
        for one in self._consumer.position(self._consumer.assignment()):
            place = one.topic, one.partition
            offset = one.offset if one.offset >= 0 else self._starts[place]
            if one.topic not in existing:
                try:
                    existing[one.topic] = self._partitions(one.topic, max(deadline_s - time.monotonic(), 0.1))
                except KafkaException:
                    return frozenset()
            count = existing[one.topic]
            if count is not None and one.partition >= count:
                at_end[place] = offset == OFFSET_BEGINNING  # it never was, so there is nothing in it
            else:
                positions.append(TopicPartition(*place, offset))
        ahead = Consumer(
            self._configuration
            | {"enable.partition.eof": True, "queued.min.messages": 1, "isolation.level": "read_uncommitted"}
        )
        try:
            ahead.assign(positions)
            while len(at_end) < len(self._starts) and time.monotonic() < deadline_s:
                for message in ahead.consume(500, 0.1):
                    error, topic, partition = message.error(), message.topic(), message.partition()
                    if topic is not None and partition is not None and not _passes(error):
                        at_end.setdefault(
                            (topic, partition), error is not None and error.code() == KafkaError._PARTITION_EOF
                        )
        finally:
            ahead.close()
        return frozenset(place for place, ended in at_end.items() if ended)

    def positions(self) -> dict[tuple[str, int], int]:
        """Where reading stands in each partition: behind the last record that `read` has returned, or before the first
        (OFFSET_BEGINNING, -2, where it was to begin at the beginning)."""
        return {
            (one.topic, one.partition): one.offset if one.offset >= 0 else self._starts[one.topic, one.partition]
            for one in self._consumer.position(self._consumer.assignment())
        }

    def renew(self) -> Callable[[], None]:
        """Reads on from where it stands, with a new client in place of the one that stood still; what closes that one,
        which blocks. Not `off_hub`: a record that `read` returned meanwhile would be read twice."""
        positions = self.positions()
        old, self._consumer, self._starts = self._consumer, Consumer(self._configuration), positions
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in positions.items()])
        return old.close

    def close(self) -> None:
        """Blocks: call it `off_hub`."""
        self._consumer.close()


def _passes(error: KafkaError | None) -> bool:
    """Whether librdkafka goes on by itself after this error."""
    return error is not None and error.retriable()
