"""Streams: which partitions a sender owns. It writes them at the source and reads their mirrors on the target.

MM2 keeps partition numbers, so one clock times both ends and ledgers are local. With more senders than partitions,
senders share a partition, each with its own stream of sequence numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mm2_users.content import Content
from mm2_users.expected import Expected
from mm2_users.ledger import StreamLedger
from scenarios.plan import PlannedTopic


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Index of the topic in the plan, and the partition."""

    topic: int
    partition: int

    @property
    def number(self) -> int:
        """Both in one number, so that numpy can compare many."""
        return self.topic << 16 | self.partition


@dataclass(slots=True, kw_only=True)
class Stream:
    """One partition that this sender writes at the source and reads back from the mirror."""

    place: StreamPlace
    content: Content
    expected: Expected
    ledger: StreamLedger = field(default_factory=StreamLedger)
    canary_acked: bool = False
    canary_arrived: bool = False


def streams_of(topics: Sequence[PlannedTopic], *, index: int, senders: int) -> list[StreamPlace]:
    """The partitions of sender `index` of `senders`, in the order in which it serves them.

    Partition 0 of every topic comes first, then partition 1 …, so that a short run touches every topic.
    """
    most = max(topic.partitions for topic in topics)
    places = [
        StreamPlace(number, partition)
        for partition in range(most)
        for number, topic in enumerate(topics)
        if partition < topic.partitions
    ]
    return places[index::senders] if index < len(places) else [places[index % len(places)]]
