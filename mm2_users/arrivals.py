"""What is read on the target: which record of which stream each one is, and what was done to it on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import cast
from zlib import crc32

import numpy as np
from confluent_kafka import KafkaError, Message
from numpy.typing import NDArray

from locust_session.load import Assignment
from mm2_users.envelope import CANARY, Decoded, Headers, decode
from mm2_users.latencies import Latencies
from mm2_users.payload import BodyPool
from mm2_users.streams import Stream
from run_record.counts import Counts
from scenarios.plan import RunPlan
from scenarios.secrets import hidden_of_others

#: So much garbage of a mirror is kept by its checksum, to be looked for at the source; the rest is only counted.
MOST_TOLD_APART = 10_000
NOT_TOLD_APART = -1
StartAgain = Callable[[str, int], None]
"""Reads a partition of the target from its beginning."""


class Arrivals:
    """One sender's reading: takes batches in the order read, and tells the streams' ledgers."""

    def __init__(self, plan: RunPlan, assignment: Assignment, *, run: int, streams: Sequence[Stream]) -> None:
        self.e2e = Latencies()
        self.e2e_from_sent = Latencies()
        self.duplicated = 0
        self.read_refused: dict[str, str] = {}
        """Mirror → why the target does not let us read it."""
        self.lost_places: set[str] = set()
        """Where the reader's position was gone, so that a stretch was never read."""
        self._run = run
        self._no_pool = streams[0].content.pool  # of errors, which have no place and no value
        self._sender = assignment.index
        self._foreign = self._misplaced = 0
        self.unreadable: dict[tuple[str, int], Counter[int]] = {}
        """Mirror → CRC-32 of what began like a record of ours and does not say which → how often."""
        self._by_number = {stream.place.number: stream for stream in streams}
        self._mirrors: dict[tuple[str | None, int | None], int] = {
            (plan.topics[stream.place.topic].remote, stream.place.partition): stream.place.number for stream in streams
        }
        # Where several senders read one partition, what belongs to nobody is counted by the first of them.
        partitions = sum(topic.partitions for topic in plan.topics)
        self._counts_strangers = assignment.index < partitions
        self._alone = assignment.senders <= partitions

    @property
    def unattributed(self) -> Counts:
        """Arrivals that belong to no stream."""
        unreadable = sum(some.total() for some in self.unreadable.values())
        return Counts(foreign=self._foreign, corrupted=unreadable, misplaced=self._misplaced)

    def lose_place(self, place: tuple[str, int]) -> None:
        """The mirror is not the one that was read, or a stretch of it was never read."""
        number = self._mirrors.get(place)
        if number is not None:
            self._by_number[number].ledger.lose_place()
            self.lost_places.add(f"{place[0]}:{place[1]}")

    def take(self, messages: list[Message], now_ns: int, start_again: StartAgain) -> None:
        """Counts what was read by `now_ns` on the load's clock."""
        values, keys = list(map(Message.value, messages)), list(map(Message.key, messages))
        for place, start, end in _runs(messages):
            stream = self._by_number.get(self._mirrors.get(place, -1))
            counted = self._expected(stream, values[start:end], keys[start:end], now_ns) if stream is not None else 0
            if start + counted < end:
                pool = stream.content.pool if stream is not None else self._no_pool
                self._any(messages[start + counted : end], pool, now_ns, start_again)

    def _expected(self, stream: Stream, values: list[bytes | None], keys: list[bytes | None], now_ns: int) -> int:
        """How many of these, all read from the stream's mirror, are just what was expected there; they are counted."""
        place = 0
        while place < len(values):
            found = stream.expected.match(values, keys, stream.ledger.arrived.end, place)
            if found is None:
                break
            batch, start, end = found
            stream.ledger.arrive_next(end - start)
            self.e2e.add_since(batch.phase, batch.due_ns[start:end], now_ns)
            self.e2e_from_sent.add_same(batch.phase, now_ns - batch.sent_ns, end - start)
            place += end - start
        return place

    def _any(self, messages: list[Message], pool: BodyPool, now_ns: int, start_again: StartAgain) -> None:
        """Counts what has to be looked into, all of one mirror."""
        records = [message for message in messages if message.error() is None]
        values = [record.value() for record in records]
        headers = cast("list[Headers]", [record.headers() for record in records]) if pool.in_headers else ()
        decoded = decode(values, self._run, pool, headers)
        foreign, start = decoded.foreign, 0
        unreadable = {place for place, stranger in decoded.nameless if not stranger}
        for place, stranger in decoded.nameless:
            value = records[place].value()
            if not self._alone or value is None or not pool.fits(value):
                continue
            # What arrived before it says which one it must be.
            self._named(records, decoded.between(start, place), now_ns)
            start = place
            if self._recognised(records[place], value):
                foreign -= stranger
                unreadable.discard(place)
        self._named(records, decoded.between(start, len(records)) if start else decoded, now_ns)
        if self._counts_strangers:
            self._foreign += foreign
            if unreadable:
                some = self.unreadable.setdefault(_place(records[0]), Counter())
                for value in (values[place] or b"" for place in sorted(unreadable)):
                    some[crc32(value) if len(some) < MOST_TOLD_APART else NOT_TOLD_APART] += 1
        if len(records) != len(messages):
            self._errors(messages, start_again)

    def _recognised(self, record: Message, value: bytes) -> bool:
        """Whether a record with a damaged envelope can be only one of ours; then it has arrived, corrupted."""
        stream = self._by_number.get(self._mirrors.get(_place(record), -1))
        if stream is None:
            return False
        ledger = stream.ledger
        seq = stream.content.recognise(record.key(), value, after=ledger.arrived.end, before=ledger.next_seq)
        if seq is not None:
            ledger.arrive_damaged(seq)
        return seq is not None

    def _named(self, records: list[Message], decoded: Decoded, now_ns: int) -> None:
        """Records that say which they are, in the order read."""
        fields = decoded.fields
        if len(fields) == 0:
            return
        here = [records[place] for place in decoded.places.tolist()]
        at = np.array([self._mirrors[_place(record)] for record in here], dtype=np.int64)
        named = fields["topic"].astype(np.int64) << 16 | fields["partition"]
        astray = at != named
        if astray.any():
            # MM2 keeps partitions, so it is not where it should be: it has not arrived.
            if self._counts_strangers:
                self._misplaced += int(astray.sum())
            named = np.where(astray, -1, named)
        keys = [record.key() for record in here]
        mine = np.where(fields["sender"] == self._sender, named, -1)  # others count their own
        order = np.argsort(mine, kind="stable")
        cuts = np.flatnonzero(np.diff(mine[order])) + 1
        for part in np.split(order, cuts):
            stream = self._by_number.get(int(mine[part[0]]))
            if stream is not None:
                self._arrive(stream, fields[part], decoded.intact[part], [keys[k] for k in part.tolist()], now_ns)

    def _arrive(
        self,
        stream: Stream,
        fields: NDArray[np.void],
        intact: NDArray[np.bool_],
        keys: list[bytes | None],
        now_ns: int,
    ) -> None:
        canaries = fields["flags"] & CANARY != 0
        if canaries.any():
            stream.canary_arrived = True
            fields, intact = fields[~canaries], intact[~canaries]
            keys = [key for key, canary in zip(keys, canaries.tolist(), strict=True) if not canary]
            if len(fields) == 0:
                return
        sent_keys = stream.content.keys_of(fields["seq"])
        if keys != sent_keys:
            rekeyed = np.array([key != sent for key, sent in zip(keys, sent_keys, strict=True)])
            stream.ledger.rekeyed(fields["seq"][rekeyed].tolist())
            intact = intact & ~rekeyed
        fresh = stream.ledger.arrive(fields["seq"], fields["phase"], intact)
        if fresh is not None:
            self.duplicated += int((~fresh).sum())
            fields = fields[fresh]
        phases = fields["phase"]
        for phase in np.unique(phases).tolist():
            some = fields[phases == phase]
            self.e2e.add_since(phase, some["due_ns"], now_ns)
            self.e2e_from_sent.add_since(phase, some["sent_ns"], now_ns)

    def _errors(self, messages: list[Message], start_again: StartAgain) -> None:
        """What the target says instead of records. None of it is MM2's fault: it must never pass for records lost."""
        for message in messages:
            error, place = message.error(), _place(message)
            if error is None:
                continue
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                self.read_refused[place[0] or "a mirror"] = hidden_of_others(error.str())
            elif error.code() == KafkaError._AUTO_OFFSET_RESET and place in self._mirrors:
                self.lose_place(place)
                start_again(*place)


def _runs(messages: list[Message]) -> list[tuple[tuple[str | None, int | None], int, int]]:
    """Which mirror the messages are of, from where to where, in the order read."""
    topics, partitions = list(map(Message.topic, messages)), list(map(Message.partition, messages))
    if topics.count(topics[0]) == partitions.count(partitions[0]) == len(messages):
        return [((topics[0], partitions[0]), 0, len(messages))]  # as a rule; and counting is all that it costs
    runs, end = [], 0
    for place, run in groupby(zip(topics, partitions, strict=True)):
        start, end = end, end + len(list(run))
        runs.append((place, start, end))
    return runs


def _place(message: Message) -> tuple[str, int]:
    """Topic and partition; what every record has, and an error of the whole client has not."""
    return message.topic() or "", -1 if (partition := message.partition()) is None else partition
