"""`KafkaUser.client`: requests to Kafka that Locust counts as it counts HTTP requests.

    PRODUCE   a call of `produce`: until the broker's answer, or with `wait=False` until the record is queued
    ACK       with `wait=False`: from the call of `produce` until the broker's answer
    CONSUME   a call of `consume`: until there were records; a failure when there were none in time

Times are milliseconds, lengths are bytes of values, names are topics unless `name=` says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, overload

from confluent_kafka import KafkaError, Message
from gevent import GreenletExit
from gevent.event import Event

from clients.kafka_shared import Headers, Record, RequestFailed, SharedConsumer, SharedProducer, Start
from mm2_users.shared_clients import SharedClients, Side
from scenarios.errors import Mm2gateError, Refused
from scenarios.scenario import ProducerSettings

JOIN_WITHIN_S = 30.0
APPEAR_WITHIN_S = 60.0
#: Errors of which the connection knows more than the record does.
_CONNECTION = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError._PURGE_QUEUE})

T = TypeVar("T")
Report = Callable[[Exception | None], None]


class Outcome:
    """What a request came to. With `catch_response=True` it is a context manager, and the task may judge it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        """Why it failed; None when it did not."""
        self._report: Report | None = None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.error is None

    def success(self) -> None:
        """Counts it as a success, whatever Kafka said."""
        self.error = None

    def failure(self, why: str | Exception) -> None:
        """Counts it as a failure."""
        self.error = RequestFailed(why) if isinstance(why, str) else why

    def __enter__(self) -> Self:
        if self._report is None:
            raise TypeError("to judge a request in a with-block, make it with catch_response=True")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and self.error is None:
            self.error = error
        if self._report is not None:
            self._report(self.error)


class Delivery(Outcome):
    """A record that was produced. `partition` and `offset` are known once the broker has answered."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.topic = topic
        self.partition: int | None = None
        self.offset: int | None = None
        self._answered = Event()
        self._abandoned = False  # by a user who was stopped while it waited

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the broker's answer, or its absence for certain; whether there is one."""
        return self._answered.wait(timeout_s) or False

    def _await(self, report: Report) -> None:
        """Waits, for a user who may be stopped meanwhile."""
        try:
            self.wait()  # librdkafka always answers, if only after delivery.timeout.ms
        except GreenletExit:
            # Locust stops users in the midst of a task, with --stop-timeout too when their pause has just ended. Their
            # record is on its way, so it is counted all the same: now, or when its answer comes.
            self._abandoned = True
            if self._answered.is_set():
                report(self.error)
            raise

    def _answer(self, error: Exception | None, message: Message | None) -> None:
        self.error = error
        if message is not None and error is None:
            self.partition, self.offset = message.partition(), message.offset()
        self._answered.set()


class Consumed(Outcome, Sequence[Record]):
    """The records that a call of `consume` took, in the order in which they lie in their partitions."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.topic = topic
        self.records: list[Record] = []

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        return self.records[place]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


def _why(error: KafkaError | None, producer: SharedProducer) -> RequestFailed | None:
    """The failure that a broker's answer, or its absence, is."""
    if error is None:
        return None
    return RequestFailed.by(error, last=producer.errors.last if error.code() in _CONNECTION else None)


class KafkaClient:
    """One user's client of one cluster. The connections behind it are the process's."""

    def __init__(
        self,
        shared: SharedClients,
        side: Side,
        *,
        settings: ProducerSettings,
        answer_within_s: float,
        stay_inside_prefix: bool,
        fire: Callable[..., None],
        refuse: Callable[[Mm2gateError], NoReturn],
        context: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """`fire` is Locust's request event; `refuse` ends the test with a guard's sentence."""
        self._shared = shared
        self._side = side
        self._settings = settings
        self._answer_within_s = answer_within_s
        self._stay_inside = stay_inside_prefix
        self._fire = fire
        self._refuse = refuse
        self._context = context
        self._producer: SharedProducer | None = None
        self._readers: dict[str, SharedConsumer] = {}
        self._allowed: dict[tuple[str, bool], str] = {}

    # --- topics ------------------------------------------------------------------------------------------------------

    def topic(self, name: str) -> str:
        """A topic's full name: "{prefix}orders" with the environment's prefix filled in."""
        return self._guarded(self._shared.topic, name)

    def mirror(self, name: str) -> str:
        """The name under which MM2 mirrors a source topic on the target."""
        return self._guarded(self._shared.mirror, name)

    def create(self, topic: str, *, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Creates a topic inside the prefix unless it exists: the process's first user does, the others wait for it."""
        self._guarded(self._shared.create, self._side, self.topic(topic), partitions, config or {})

    # --- produce -----------------------------------------------------------------------------------------------------

    def produce(
        self,
        topic: str,
        value: bytes | str | None,
        *,
        key: bytes | str | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        wait: bool = True,
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Delivery:
        """Produces one record, and waits for the broker's answer unless `wait=False`.

        A failure is counted, and told by the delivery's `error`; it is not raised. `value=None` is a tombstone.
        """
        if catch_response and not wait:
            raise TypeError("catch_response=True judges the broker's answer, which wait=False does not wait for")
        topic = self._inside(topic, to_write=True)
        if self._producer is None:
            self._producer = self._guarded(self._shared.producer, self._side, self._settings, self._answer_within_s)
        producer = self._producer
        delivery = Delivery(topic)
        started_s, started_at_s = time.perf_counter(), time.time()
        size_bytes = len(value.encode() if isinstance(value, str) else value or b"")
        meta = self._meta(topic, name, context, delivery) | {
            "response_length": size_bytes,
            "start_time": started_at_s,
        }

        def report(kind: str, error: Exception | None, ended_s: float) -> None:
            took_ms = (ended_s - started_s) * 1000
            self._fire(request_type=kind, response_time=took_ms, exception=error, **meta)

        def answered(error: KafkaError | None, message: Message) -> None:
            ended_s = time.perf_counter()
            why = _why(error, producer)

            def tell() -> None:
                delivery._answer(why, message)
                report("PRODUCE" if wait else "ACK", why, ended_s)

            if wait and not delivery._abandoned:
                delivery._answer(why, message)  # the call that waits for it reports it
            else:
                producer.tell(tell)  # a request listener may let other greenlets run

        try:
            producer.produce(
                topic,
                value,
                key=key,
                headers=headers,
                partition=partition,
                on_answer=answered,
                timeout_s=self._answer_within_s,
            )
        except RequestFailed as error:
            delivery._answer(error, None)
        else:
            if wait:
                delivery._await(lambda error: report("PRODUCE", error, time.perf_counter()))
        ended_s = time.perf_counter()
        if catch_response:
            delivery._report = lambda error: report("PRODUCE", error, ended_s)
        else:
            report("PRODUCE", delivery.error, ended_s)
        return delivery

    # --- consume -----------------------------------------------------------------------------------------------------

    def subscribe(self, *topics: str, group: str, start: Start = "end", join_within_s: float = JOIN_WITHIN_S) -> None:
        """Reads these topics as a member of a consumer group, which all processes with its name share.

        A group without a committed offset starts at `start`. Users of one process share what it is given.
        """
        names = [self._inside(topic, to_write=False) for topic in topics]
        consumer = self._guarded(self._shared.consumer, self._side, group, start)
        self._readers.update(dict.fromkeys(names, consumer))
        self._set_up(", ".join(names), lambda: consumer.subscribe(names, timeout_s=join_within_s))

    def assign(
        self,
        topic: str,
        *,
        partitions: Sequence[int] | None = None,
        start: Start = "end",
        appear_within_s: float = APPEAR_WITHIN_S,
    ) -> None:
        """Reads partitions of a topic (all of them, unless told) without a group, from their end or their beginning.

        The first user of the process to ask for a topic decides. A topic that does not exist yet, as a mirror that MM2
        has still to make, is waited for.
        """
        name = self._inside(topic, to_write=False)
        consumer = self._guarded(self._shared.consumer, self._side, None, start)
        self._readers[name] = consumer
        self._set_up(name, lambda: consumer.assign(name, partitions, start=start, timeout_s=appear_within_s))

    def consume(
        self,
        topic: str,
        *,
        most: int = 1,
        timeout_s: float = 1.0,
        allow_empty: bool = False,
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        catch_response: bool = False,
    ) -> Consumed:
        """Takes the next records of a topic, as soon as there are any, at most `most`; no other user takes them.

        None within `timeout_s` is a failure, or with `allow_empty` no request at all. Failures are not raised.
        """
        topic = self._inside(topic, to_write=False)
        consumer = self._readers.get(topic)
        if consumer is None:
            self._refuse(Refused(f"{topic} is read by nobody yet; call client.assign or client.subscribe in on_start"))
        consumed = Consumed(topic)
        started_s, started_at_s = time.perf_counter(), time.time()
        try:
            consumed.records = consumer.take(topic, most, timeout_s)
        except RequestFailed as error:
            consumed.error = error
        took_ms = (time.perf_counter() - started_s) * 1000
        empty = not consumed.records and consumed.error is None
        if empty and not allow_empty:
            consumed.error = RequestFailed(f"_TIMED_OUT: no record within {timeout_s:g} s")
        meta = self._meta(topic, name, context, consumed)

        def report(error: Exception | None) -> None:
            if empty and error is None:
                return
            self._fire(
                request_type="CONSUME",
                response_time=took_ms,
                exception=error,
                response_length=sum(len(record.value or b"") for record in consumed.records),
                start_time=started_at_s,
                **meta,
            )

        if catch_response:
            consumed._report = report
        else:
            report(consumed.error)
        return consumed

    # --- parts -------------------------------------------------------------------------------------------------------

    def _set_up(self, name: str, step: Callable[[], None]) -> None:
        """A step of on_start: what fails is a failed CONSUME, since no task could read then."""
        started_s, started_at_s = time.perf_counter(), time.time()
        try:
            self._guarded(step)
        except RequestFailed as error:
            self._fire(
                request_type="CONSUME",
                response_time=(time.perf_counter() - started_s) * 1000,
                exception=error,
                response_length=0,
                start_time=started_at_s,
                **self._meta(name, None, None, None),
            )

    def _meta(
        self, topic: str, name: str | None, context: Mapping[str, Any] | None, response: Outcome | None
    ) -> dict[str, Any]:
        return {
            "name": name or topic,
            "context": {**self._context(), **(context or {})},
            "response": response,
            "url": None,
        }

    def _inside(self, topic: str, *, to_write: bool) -> str:
        allowed = self._allowed.get((topic, to_write))
        if allowed is None:
            allowed = self.topic(topic)
            if self._stay_inside:
                self._guarded(self._shared.require_inside, self._side, allowed, to_write=to_write)
            self._allowed[topic, to_write] = allowed
        return allowed

    def _guarded(self, call: Callable[..., T], *arguments: Any, **more: Any) -> T:
        try:
            return call(*arguments, **more)
        except Mm2gateError as error:
            self._refuse(error)
