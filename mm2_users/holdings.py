"""What lies in partitions that are read once more: which of our records, how often, and what begins like one of them.

Of a mirror it says what is on the target; of the source, what our producer, or somebody else, wrote there twice. Knows
no Kafka client: it is handed records, in any thread.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast
from zlib import crc32

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from mm2_users.envelope import CANARY, Headers, decode
from mm2_users.ranges import RangeSet
from mm2_users.streams import Stream

Place = tuple[str, int]


@dataclass(slots=True)
class Held:
    """Of one stream: the sequence numbers that were found, and of some of them how often, whole or altered."""

    seqs: RangeSet = field(default_factory=RangeSet)
    copies: Counter[int] = field(default_factory=Counter)
    altered: Counter[int] = field(default_factory=Counter)


class Holdings:
    """Of one sender. `streams`: partition of the cluster that is read → the sender's stream there. `counted`: whether a
    record's copies are counted; of the others it is only known whether they are there."""

    def __init__(
        self,
        streams: dict[Place, Stream],
        *,
        run: int,
        sender: int,
        counted: Callable[[Stream, int], bool] | None = None,
    ) -> None:
        self.held: dict[Place, Held] = {place: Held() for place in streams}
        self.unreadable: dict[Place, Counter[int]] = defaultdict(Counter)
        """Partition → CRC-32 of what begins like a record of ours and does not say which → how often."""
        self._streams = streams
        self._run, self._sender, self._counted = run, sender, counted

    def take(self, messages: list[Message]) -> None:
        """Looks at records, none of which is an error."""
        ordered = sorted(messages, key=place_of)
        for place, some in groupby(ordered, key=place_of):
            if place in self._streams:
                self._take(self._streams[place], place, list(some))

    def _take(self, stream: Stream, place: Place, records: Sequence[Message]) -> None:
        pool, held = stream.content.pool, self.held[place]
        values = [record.value() for record in records]
        headers = cast("list[Headers]", [record.headers() for record in records]) if pool.in_headers else ()
        decoded = decode(values, self._run, pool, headers)
        self.unreadable[place].update(crc32(values[at] or b"") for at, stranger in decoded.nameless if not stranger)
        fields = decoded.fields
        own = (
            (fields["sender"] == self._sender)
            & (fields["flags"] & CANARY == 0)
            & (fields["topic"] == stream.place.topic)
            & (fields["partition"] == stream.place.partition)
        )
        seqs = fields["seq"][own]
        if len(seqs) == 0:
            return
        for first, end in _ranges(seqs):
            held.seqs.add(first, end)
        if self._counted is None:
            return
        keys = stream.content.keys_of(seqs)
        found = zip(seqs.tolist(), decoded.intact[own].tolist(), decoded.places[own].tolist(), keys, strict=True)
        for seq, intact, at, key in found:
            if self._counted(stream, seq):
                held.copies[seq] += 1
                held.altered[seq] += not (intact and records[at].key() == key)


def _ranges(seqs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The numbers as ranges, in the order in which they stand."""
    cuts = np.flatnonzero(np.diff(seqs) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(seqs, cuts)]


def place_of(record: Message) -> Place:
    return record.topic() or "", -1 if (partition := record.partition()) is None else partition
