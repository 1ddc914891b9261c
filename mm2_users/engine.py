"""The engine: one per worker process. It sends what is due, takes acknowledgements, reads mirrors, keeps the ledger.

It is driven by `step()`, called every STEP_EVERY_S by the greenlet that hosts it, and by nothing else; `step` never
waits. All instants are nanoseconds on the load's clock: monotonic, zero at the start of the first load phase.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import floor
from typing import Any, Protocol

import numpy as np
from confluent_kafka import KafkaError, Message
from numpy.typing import NDArray

from clients.kafka import (
    MOST_BUFFERED_BYTES,
    MOST_BUFFERED_RECORDS,
    REFUSALS,
    TOO_LARGE,
    RecordConsumer,
    RecordProducer,
    off_hub,
)
from clients.kafka_reread import Rereader
from clients.kafka_topics import TopicLooks
from locust_session.load import Assignment, Second
from mm2_users.account import Trouble, account
from mm2_users.arrivals import Arrivals
from mm2_users.content import CANARY_SEQ, Content
from mm2_users.envelope import CANARY, Envelopes, enclose, encode, headers_of, run_number, seq_of
from mm2_users.expected import Expected, SentBatch
from mm2_users.identity import clusters_seen, versions
from mm2_users.keys import keys_by_partition
from mm2_users.latencies import Latencies
from mm2_users.lookout import Rereads, lookout_of
from mm2_users.pacing import DueRecords, Pacer
from mm2_users.payload import pool_of
from mm2_users.reckoning import Reckoner
from mm2_users.streams import Stream, streams_of, turns_of
from mm2_users.turns import Turns
from mm2_users.watch import Looks
from run_record.histogram import LatencyHistogram
from run_record.manifest import ClusterSeen
from scenarios.environment import Cluster
from scenarios.errors import Mm2gateError, Refused
from scenarios.plan import NS_PER_S, RunPlan
from scenarios.secrets import hidden_of_others

MOST_PER_BATCH = 500
MOST_BATCHES_PER_STEP = 8
MOST_READ_PER_STEP = 2000
#: From one step to the next. Records are due all the time, so the step bounds their send delay, and how late an arrival
#: may be seen; shorter ones cost CPU, since every step has its price whatever it finds to do.
STEP_EVERY_S = 0.002
#: Fewer than so many a step are fetched as they come.
LEAST_FETCHED_RECORDS = 8
#: Waiting for the last acknowledgements when a run is closed; librdkafka gives up by itself after delivery.timeout.ms.
FLUSH_S = 10.0
#: The end of a run takes no longer than this, whatever there is to be asked; when someone waits for it, so long behind
#: the last acknowledgement.
FINISH_WITHIN_S = 25.0
HURRIED_FINISH_S = 5.0
#: What has been fetched by then is read before the reckoning.
READ_ON_TIMES = 200
#: Values that were sent and have not arrived yet, to compare those with that arrive.
MOST_KEPT_BYTES = 64 * 1024**2
#: Runs differ in the keys and bodies that their streams begin with.
MOST_SHIFT = 1 << 20
NS_PER_MS = 1_000_000

Clock = Callable[[], int]
#: (what, latencies in ns, bytes of one record) of a second, for Locust's screen.
Screen = Callable[[str, NDArray[np.int64], int], None]


class Answered(Protocol):
    """A delivery callback; `seq` is given where the record's value does not tell it."""

    def __call__(self, error: KafkaError | None, message: Message, seq: int | None = None) -> None: ...


@dataclass(slots=True)
class Batch:
    """Records of one stream handed to the producer together; it is their delivery callback.

    librdkafka answers for each record, once. When all have an answer the ledger is told once, by range.
    """

    engine: Engine
    stream: Stream
    phase: int
    first_seq: int
    count: int
    sent_ns: int
    left: int
    failed_seqs: list[int] = field(default_factory=list)
    first_offset: int = -1

    def answered(self, error: KafkaError | None, message: Message, seq: int | None = None) -> None:
        """The delivery callback of each of its records; `seq` where the value does not tell it."""
        self.left -= 1
        if error is not None:
            self.engine._not_delivered(self, error, message, seq)
        elif self.first_offset < 0:
            self.first_offset = message.offset() or 0
        if self.left == 0:
            self.engine._batch_answered(self, message)


class Engine:
    """See the module. `producer` and `consumer` factories are arguments so that a test can bring its own brokers."""

    step_every_s = STEP_EVERY_S

    def __init__(
        self,
        plan: RunPlan,
        *,
        screen: Screen,
        clock_ns: Clock = time.monotonic_ns,
        producer: Callable[[], RecordProducer] | None = None,
        consumer: Callable[[str], RecordConsumer] | None = None,
        looks: Callable[[Cluster], Looks] | None = None,
        reread: Callable[[Cluster], Rereads] | None = None,
    ) -> None:
        self._plan = plan
        self._screen = screen
        self._clock_ns = clock_ns
        environment = plan.loaded_environment
        self._make_producer = producer or (
            lambda: RecordProducer(plan.environment.source, environment, plan.scenario.producer)
        )
        self._make_consumer = consumer or (
            lambda name: RecordConsumer(
                plan.environment.target, environment, name=name, fetch_bytes=self._bytes_per_step()
            )
        )
        self._make_looks = looks or (lambda cluster: TopicLooks(cluster, environment))
        self._make_reread = reread or (lambda cluster: Rereader(cluster, environment))
        self._producer: RecordProducer | None = None
        self._consumer: RecordConsumer | None = None
        self._sending = self._started = self._held = False

    # --- NodeLoad --------------------------------------------------------------------------------------------------

    def versions(self) -> dict[str, str]:
        return versions()

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        return clusters_seen(self._plan)

    def prepare(self, assignment: Assignment) -> list[str]:
        """Takes up its partitions: mirrors read from their end, source metadata known. Waits, off the hub.

        Owns them, as "topic:partition".
        """
        plan = self._plan
        self._assignment = assignment
        self._run = run_number(assignment.run_id)
        self._envelopes = Envelopes(run=self._run, sender=assignment.index, most=MOST_PER_BATCH)
        payload = plan.scenario.payload
        pools = {one: pool_of(one) for one in payload.root}
        hot = plan.scenario.topics.hot
        places = streams_of(plan.topics, index=assignment.index, senders=assignment.senders, hot=hot)
        keys = {topic.partitions: keys_by_partition(topic.partitions) for topic in plan.topics}
        most_kept = MOST_KEPT_BYTES // (payload.bytes * len(places))
        self._streams = [
            Stream(
                place=place,
                content=Content(
                    keys[plan.topics[place.topic].partitions][place.partition],
                    pools[payload.of_topic(place.topic)],
                    shift=self._run % MOST_SHIFT + place.partition,
                ),
                expected=Expected(most_kept),
            )
            for place in places
        ]
        self._arrivals = Arrivals(plan, assignment, run=self._run, streams=self._streams)
        producer_settings = plan.scenario.producer
        self._turns = Turns(
            [self._streams[turn] for turn in turns_of(places, plan.topics, hot)],
            lasts_ns=round(producer_settings.linger * NS_PER_S),
            most_records=max(producer_settings.batch // payload.bytes, 1),
        )
        self._pacer = Pacer(plan, index=assignment.index, senders=assignment.senders)
        self._start_ns = self._clock_ns()
        self._outstanding = self._sent = self._acked = self._failed = self._unknown = self._last_sent_ns = 0
        self._longest_e2e_ns = 0
        self._last_error: str | None = None
        self._too_large: tuple[str, str] | None = None
        self._latest = {
            "e2e": self._arrivals.e2e,
            "e2e_from_sent": self._arrivals.e2e_from_sent,
            "send_delay": Latencies(),
            "ack": Latencies(),
        }
        self._histograms: dict[str, dict[int, LatencyHistogram]] = {
            kind: defaultdict(LatencyHistogram) for kind in self._latest
        }
        buffer_bytes = min(plan.scenario.producer.buffer, MOST_BUFFERED_BYTES)
        # The producer has four times the room, so that a run of the largest records fits too.
        record_bytes = max(payload.bytes, payload.largest_bytes // 4)
        self._room = min(max(buffer_bytes // record_bytes, 1), MOST_BUFFERED_RECORDS)
        producer, consumer = self._make_producer(), self._make_consumer(assignment.run_id)
        off_hub(consumer.start_at_end, [(plan.topics[p.topic].remote, p.partition) for p in places])
        off_hub(producer.know, sorted({plan.topics[p.topic].source for p in places}))
        self._lookout = lookout_of(
            plan, self._streams, self._arrivals, looks=self._make_looks, reread=self._make_reread
        )
        self._lookout.begin(self._clock_ns())
        self._producer, self._consumer = producer, consumer
        return [f"{plan.topics[place.topic].source}:{place.partition}" for place in places]

    def send_canaries(self) -> None:
        """One record to each of its partitions, apart from the ledger's counts."""
        for stream in self._streams:
            content = stream.content
            bodies, _, _ = content.bodies_from(CANARY_SEQ, 1)
            fields = self._envelopes.lay_out(
                topic=stream.place.topic,
                partition=stream.place.partition,
                first_seq=0,
                bodies=np.array([content.pool.largest]) if content.pool.in_headers else bodies,
                flags=CANARY,
            )
            values, keys = encode(fields, content.pool), content.keys_from(0, 1)
            refused = self._hand_over(stream, fields, values, keys, self._canary_answered(stream))
            if refused:
                self._last_error = "canary refused by the producer"

    def start(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._sending = self._started = True

    def play(self, phase: int, start_s: float) -> None:
        self._pacer.play(phase, start_s)

    def hold_sending(self) -> None:
        self._held = True

    def resume_sending(self) -> None:
        self._held = False

    def stop_sending(self) -> None:
        self._sending = False

    def second(self) -> Second:
        """Ledger counters now, and the histograms since the last call."""
        if self._producer is None:
            return Second()
        if self._arrivals.read_refused and not self._started:
            topic, why = next(iter(self._arrivals.read_refused.items()))
            raise Refused(
                f"{self._plan.environment.target.alias} cluster: {topic} may not be read ({why}); "
                "the user of target.security needs READ on it"
            )
        if self._too_large is not None and not self._started:
            raise Refused(self._too_large_sentence(*self._too_large))
        recent = {}
        for kind, latencies in self._latest.items():
            recent[kind], durations_ns = latencies.flush_into(self._histograms[kind])
            self._screen(kind, durations_ns, self._plan.scenario.payload.bytes)
        if recent["e2e"].count:
            self._longest_e2e_ns = max(self._longest_e2e_ns, round(recent["e2e"].max_ms * NS_PER_MS))
        missing = sum(stream.ledger.missing_count for stream in self._streams)
        return Second(
            sent=self._sent,
            acked=self._acked,
            failed=self._failed,
            unknown=self._unknown,
            arrived=self._acked - missing,
            duplicated=self._arrivals.duplicated,
            due=self._pacer.due_by(self._now_ns()) if self._started else 0,
            pending=self._outstanding,
            missing=missing,
            all_sent=self._pacer.done,
            last_sent_ns=self._last_sent_ns,
            quiet=self._pacer.done or not self._sending,
            canaries_sent=len(self._streams),
            canaries_arrived=sum(stream.canary_arrived for stream in self._streams),
            e2e=recent["e2e"].to_json(),
            send_delay=recent["send_delay"].to_json(),
            notes=tuple(self._lookout.take_notes()),
        )

    def look(self) -> None:
        """Looks whether both clusters' topics, and its own reader, are what its account will rest on. Waits."""
        consumer = self._consumer
        if consumer is None:
            return
        at_ns = self._clock_ns()
        read = self._lookout.look(consumer, at_ns, longest_e2e_ns=self._longest_e2e_ns)
        if self._consumer is consumer:  # the run goes on
            self._lookout.look_after(consumer, read, at_ns)

    def _too_large_sentence(self, topic: str, why: str) -> str:
        alias, largest = self._plan.environment.source.alias, self._plan.scenario.payload.largest_bytes
        return (
            f"{alias} cluster: {topic} refuses records of up to {largest:,} bytes ({why}); raise "
            "max.message.bytes on it and its mirror and MM2's producer.override.max.request.size, or lower payload"
        )

    def finish(self, committed: dict[str, int], *, hurried: bool = False) -> dict[str, Any]:
        """Closes both ends, and the account of every stream, once both clusters have been asked who is to blame."""
        self._sending = False
        producer, consumer = self._producer, self._consumer
        if producer is None or consumer is None:
            raise Mm2gateError("the load was asked for its account before it was prepared")
        began_s = time.monotonic()
        self._producer = self._consumer = None  # step() is over before callbacks run in the native thread
        off_hub(producer.close, FLUSH_S)
        self._read_on(consumer)
        left_s = max(FINISH_WITHIN_S - (time.monotonic() - began_s), HURRIED_FINISH_S)
        reckoning = self._reckoner().reckon(
            consumer,
            committed,
            at_ns=self._clock_ns(),
            zero_ns=self._start_ns,
            longest_e2e_ns=self._longest_e2e_ns,
            within_s=HURRIED_FINISH_S if hurried else left_s,
            hurried=hurried,
        )
        off_hub(consumer.close)
        off_hub(self._lookout.close)
        for kind, latencies in self._latest.items():
            latencies.flush_into(self._histograms[kind])
        told = account(
            self._plan,
            self._assignment,
            streams=[(stream.place, stream.ledger) for stream in self._streams],
            canaries=[(stream.place, stream.canary_acked, stream.canary_arrived) for stream in self._streams],
            histograms=self._histograms,
            unattributed=self._arrivals.unattributed,
            reckoning=reckoning,
            trouble=Trouble(
                last_error=self._last_error,
                read_refused=sorted(self._arrivals.read_refused),
                lost_places=sorted(self._arrivals.lost_places),
            ),
        )
        return told | {"notes": self._lookout.take_notes()}

    def _reckoner(self) -> Reckoner:
        environment = self._plan.environment
        return Reckoner(
            self._lookout,
            self._arrivals,
            run=self._run,
            sender=self._assignment.index,
            record_bytes=self._plan.scenario.payload.bytes,
            source=self._make_reread(environment.source),
            target=self._make_reread(environment.target),
        )

    def _read_on(self, consumer: RecordConsumer) -> None:
        """What was fetched while the last acknowledgements were awaited has arrived, too."""
        for _ in range(READ_ON_TIMES):
            messages = consumer.read(MOST_READ_PER_STEP)
            if not messages:
                return
            self._arrivals.take(messages, self._now_ns(), consumer.start_again)

    def _bytes_per_step(self) -> int:
        """What arrives from one step to the next while the plan's slowest load is on; 1 when that is a few records.

        Nobody looks more often, so the reader need not be handed less at a time; a few records are not worth a wait.
        """
        slowest_per_s = min(load.profile.peak_per_s for load in self._plan.loads) / self._assignment.senders
        records = floor(slowest_per_s * STEP_EVERY_S)
        return records * self._plan.scenario.payload.bytes if records >= LEAST_FETCHED_RECORDS else 1

    # --- the loop ----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Sends what is due, serves acknowledgements, takes arrivals. Never waits."""
        producer, consumer = self._producer, self._consumer
        if producer is None or consumer is None:
            return
        if self._sending and not self._held:
            self._send_due()
        producer.serve()
        messages = consumer.read(MOST_READ_PER_STEP)
        if messages:
            self._arrivals.take(messages, self._now_ns(), consumer.start_again)

    def _now_ns(self) -> int:
        return self._clock_ns() - self._start_ns

    def _require_producer(self) -> RecordProducer:
        if self._producer is None:
            raise Mm2gateError("the load was asked to send before it was prepared")
        return self._producer

    # --- sending -----------------------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        now_ns = self._now_ns()  # once: what becomes due while this is sent makes a better batch in the next step
        for _ in range(MOST_BATCHES_PER_STEP):
            due = self._pacer.due(now_ns, min(MOST_PER_BATCH, self._room - self._outstanding))
            if due is None:
                return
            self._send(self._turns.take(len(due.due_ns), now_ns), due)

    def _send(self, stream: Stream, due: DueRecords) -> None:
        count = len(due.due_ns)
        first_seq = stream.ledger.take(count, due.phase)
        content = stream.content
        numbers, bodies, crcs = content.bodies_from(first_seq, count)
        sent_ns = self._last_sent_ns = self._now_ns()
        fields = self._envelopes.lay_out(
            topic=stream.place.topic,
            partition=stream.place.partition,
            first_seq=first_seq,
            bodies=numbers,
            due_ns=due.due_ns,
            sent_ns=sent_ns,
            phase=due.phase,
        )
        batch = Batch(self, stream, due.phase, first_seq, count, sent_ns, left=count)
        self._sent += count
        self._outstanding += count
        self._latest["send_delay"].add_since(due.phase, due.due_ns, sent_ns)
        values = enclose(fields, bodies, crcs, in_headers=content.pool.in_headers)
        keys = content.keys_from(first_seq, count)
        refused = self._hand_over(stream, fields, values, keys, batch.answered)
        if not content.pool.in_headers:  # values alone do not say that a record came as it was sent
            stream.expected.sent(
                SentBatch(
                    first_seq=first_seq, phase=due.phase, sent_ns=sent_ns, due_ns=due.due_ns, values=values, keys=keys
                )
            )
        for position in refused:
            # Refused on this side of the wire: it provably never left, and no callback will come.
            self._count_failed(batch, first_seq + position, refused=True)
        if refused:
            batch.left -= len(refused)
            self._last_error = "refused by the producer before sending"
            if batch.left == 0:
                self._settle(batch)

    def _hand_over(
        self, stream: Stream, fields: NDArray[np.void], values: list[bytes], keys: list[bytes], answered: Answered
    ) -> list[int]:
        """Gives a batch to the producer; the positions of those that were refused at once."""
        producer = self._require_producer()
        topic, partition = self._plan.topics[stream.place.topic].source, stream.place.partition
        messages: list[dict[str, Any]] = [{"value": value, "key": key} for value, key in zip(values, keys, strict=True)]
        if not stream.content.pool.in_headers:
            return producer.send(topic, partition, messages, answered)
        # The answer to a record does not tell its headers, so each is asked for by itself.
        for message, headers, seq in zip(messages, headers_of(fields), fields["seq"].tolist(), strict=True):
            message |= {"headers": headers, "on_delivery": partial(answered, seq=seq)}
        return producer.send_each(topic, partition, messages)

    def _canary_answered(self, stream: Stream) -> Answered:
        def answered(error: KafkaError | None, message: Message, seq: int | None = None) -> None:
            del message, seq
            stream.canary_acked = error is None
            if error is not None and error.code() in TOO_LARGE:
                self._too_large = (self._plan.topics[stream.place.topic].source, hidden_of_others(error.str()))

        return answered

    # --- acknowledgements --------------------------------------------------------------------------------------------

    def _not_delivered(self, batch: Batch, error: KafkaError, message: Message, seq: int | None) -> None:
        self._last_error = error.str()
        if seq is None:
            seq = seq_of(message.value() or b"")
        self._count_failed(batch, seq, refused=error.code() in REFUSALS)

    def _count_failed(self, batch: Batch, seq: int, *, refused: bool) -> None:
        batch.failed_seqs.append(seq)
        if refused:
            self._failed += 1
            batch.stream.ledger.refuse(seq)
        else:
            self._unknown += 1

    def _batch_answered(self, batch: Batch, last: Message) -> None:
        # A retry that the broker had already taken is acknowledged without an offset (-1): it anchors nothing.
        if not batch.failed_seqs and 0 <= batch.first_offset == (last.offset() or 0) - batch.count + 1:
            batch.stream.ledger.anchor(batch.first_seq, batch.first_seq + batch.count, batch.first_offset)
        self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        self._outstanding -= batch.count
        self._acked += batch.count - len(batch.failed_seqs)
        start = batch.first_seq
        for seq in sorted(batch.failed_seqs):
            batch.stream.ledger.ack(start, seq)
            start = seq + 1
        batch.stream.ledger.ack(start, batch.first_seq + batch.count)
        answered = batch.count - len(batch.failed_seqs)
        self._latest["ack"].add_same(batch.phase, self._now_ns() - batch.sent_ns, answered)
