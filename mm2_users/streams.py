"""Streams: which partitions a sender owns. It writes them at the source and reads their mirrors on the target.

MM2 keeps partition numbers, so one clock times both ends and ledgers are local. With more senders than partitions,
senders share a partition, each with its own stream of sequence numbers. A hot partition is shared by all: no sender
alone has ten times the records of another to give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from mm2_users.content import Content
from mm2_users.expected import Expected
from mm2_users.ledger import StreamLedger
from scenarios.plan import PlannedTopic
from scenarios.scenario import HotPartition


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


def streams_of(
    topics: Sequence[PlannedTopic], *, index: int, senders: int, hot: HotPartition | None = None
) -> list[StreamPlace]:
    """The partitions of sender `index` of `senders`, in the order in which it serves them.

    Partition 0 of every topic comes first, then partition 1 …, so that a short run touches every topic.
    """
    most = max(topic.partitions for topic in topics)
    everywhere = [
        StreamPlace(number, partition)
        for partition in range(most)
        for number, topic in enumerate(topics)
        if partition < topic.partitions
    ]
    shared = [place for place in everywhere if hot is not None and place.partition == hot.partition]
    places = [place for place in everywhere if place not in shared] or everywhere
    own = places[index::senders] if index < len(places) else [places[index % len(places)]]
    return [*(place for place in shared if place not in own), *own]


def turns_of(places: Sequence[StreamPlace], topics: Sequence[PlannedTopic], hot: HotPartition | None) -> list[int]:
    """One round of a sender's turns, as positions in its places: each once; with a hot partition, that one as often as
    makes it `weight` times any other over all senders, its turns spread evenly over the round."""
    shared = [place for place in places if hot is not None and place.partition == hot.partition]
    others = sum(topic.partitions - 1 for topic in topics)
    own = len(places) - len(shared)
    if hot is None or not shared or not own:
        return list(range(len(places)))
    times = Fraction(own * hot.weight, others)
    counts = [times.numerator if place in shared else times.denominator for place in places]
    moments = sorted(
        ((turn + Fraction(1, 2)) / count, place) for place, count in enumerate(counts) for turn in range(count)
    )
    return [place for _, place in moments]
